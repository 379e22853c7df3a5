"""A run with everything around it in memory: a cluster with a shop, a remote, restic, movers.

``world.run()`` is one run from its beginning, in a process of its own: it has nothing of the run
before but what is in the cluster, at the remote and in the repositories.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from reconciler.capture import record
from reconciler.engine.context import RunPorts, RunRequest, policy_branch
from reconciler.engine.proving import volume_tags
from reconciler.engine.restore import Restore, RestorePorts, RestoreRequest, RestoreResult
from reconciler.engine.run import RunResult, execute_run
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.objects import ObjectRef
from reconciler.model.policy import (
    BackupPolicy,
    Compiled,
    CopyMethod,
    NamespaceSelector,
    Repository,
    Retention,
    Schedule,
    Selector,
    Volumes,
)
from reconciler.model.run import PolicyRef, RunRecord, Trigger
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask
from reconciler.plan.rights import RESTORE, RUN, Need
from reconciler.ports import ManifestStore
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.entitled import Entitled
from tests.fakes.gitstore import FakeCommit, FakeManifestStore, FakeRemote
from tests.fakes.keyring import FakeKeyring
from tests.fakes.mover import FakeMover
from tests.fakes.reporter import FakeReporter
from tests.fakes.sealer import FakeSealer
from tests.fakes.volumebackend import FakeStorage, FakeVolumeBackend, StoredRepository

SYSTEM = "backstay-system"
CLUSTER = "prod-eu"
BRANCH = policy_branch(CLUSTER, "shop")
HOME = f"clusters/{CLUSTER}/_cluster"
MARKER = "S3cret-Marker-4711"
URL = "s3:https://s3.example.org/backups/{cluster}/{namespace}"
CONFIG = Config(
    cluster=ClusterConfig(CLUSTER),
    policy_source=PolicySourceConfig(url="ssh://git@git.example.org/p.git"),
    manifest_store=ManifestStoreConfig(url="ssh://git@git.example.org/captures.git"),
    image="backstay:1",
    shared_key_in_tenants=True,
)
POLICY = BackupPolicy(
    name="shop",
    schedule=Schedule("17 4 * * *"),
    selector=Selector(namespaces=NamespaceSelector(names=("shop", "shop-*"))),
    volumes=Volumes(repository="main", copy_method=CopyMethod.DIRECT),
    retention=Retention(keep_daily=7),
)
REPOSITORY = Repository(name="main", url=URL, secret_ref="restic-main")
RUN_IDS = tuple(f"shop-20261121-0{hour}1703-{hour:05x}" for hour in range(1, 10))


class Crash(BaseException):
    """The process ends at once: nobody catches this."""


def manifest(kind: str, name: str, namespace: str = "shop", **fields: Any) -> dict[str, Any]:
    """An object as a user writes it; ``kind`` may have its apiVersion in front: apps/v1/X."""
    api, _, kind = kind.rpartition("/")
    metadata: dict[str, Any] = {"name": name, **fields.pop("metadata", {})}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api or "v1", "kind": kind, "metadata": metadata, **fields}


def claim(name: str, namespace: str = "shop", phase: str = "Bound") -> dict[str, Any]:
    """A claim of one gibibyte."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "local",
    }
    found = manifest("PersistentVolumeClaim", name, namespace, spec=spec)
    return {**found, "status": {"phase": phase}}


def deployment(name: str, volume: str, namespace: str = "shop") -> dict[str, Any]:
    """A workload that mounts a claim as user 1000."""
    pod = {
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
        "containers": [{"name": "web", "image": "web:1"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": volume}}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return manifest("apps/v1/Deployment", name, namespace, spec=spec)


def put_shop(cluster: FakeCluster, namespace: str = "shop") -> None:
    """A namespace with a bit of everything."""
    cluster.put(manifest("Namespace", namespace, ""))
    cluster.put(manifest("ServiceAccount", "default", namespace))
    cluster.put(manifest("ConfigMap", "settings", namespace, data={"colour": "green"}))
    password = base64.b64encode(MARKER.encode()).decode()
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"data":"{password}"}}'}
    cluster.put(
        manifest(
            "Secret", "db", namespace, data={"password": password},
            metadata={"annotations": {**applied, "note": f"it is {MARKER}"}},
        )
    )  # fmt: skip
    cluster.put(claim("files", namespace))
    cluster.put(deployment("web", "files", namespace))


def move_controllers(cluster: FakeCluster) -> None:
    """What the cluster does by itself, given time: default accounts, definitions accepted."""
    present = {
        account["metadata"]["namespace"]
        for account in cluster.all("ServiceAccount")
        if account["metadata"]["name"] == "default"
    }
    for namespace in cluster.all("Namespace"):
        name = namespace["metadata"]["name"]
        if name not in present:
            cluster.put(manifest("ServiceAccount", "default", name), manager="controller")
    accepted = [{"type": kind, "status": "True"} for kind in ("Established", "NamesAccepted")]
    for definition in cluster.all("CustomResourceDefinition"):
        cluster.edit(definition, lambda raw: raw.update(status={"conditions": accepted}))


@dataclass
class RunWorld:
    """Change anything before `run`: ``request`` and ``ports`` build what a run gets."""

    clock: FakeClock = field(default_factory=FakeClock)
    remote: FakeRemote = field(default_factory=FakeRemote)
    storage: FakeStorage = field(default_factory=FakeStorage)
    log: FakeReporter = field(default_factory=FakeReporter)
    config: Config = CONFIG
    policy: BackupPolicy = POLICY
    digest: str = "sha256:" + "1" * 64
    needs: tuple[Need, ...] = RUN

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(now=self.clock.now)
        self.clock.on_sleep = lambda: move_controllers(self.cluster)
        self.cluster.put(manifest("Namespace", SYSTEM, ""))
        put_shop(self.cluster)
        self.keyring = FakeKeyring(self.storage, CLUSTER)
        self.data: dict[tuple[str, str], bytes] = {("shop", "files"): b"a thousand files"}
        """(namespace, claim) → what is on the volume."""
        self.sealer = FakeSealer()
        self.mover = FakeMover(effect=self.move)
        self.make_store: Callable[[], ManifestStore] = lambda: FakeManifestStore(self.remote)
        """The manifest store as a new process opens it."""

    def move(self, task: MoveTask) -> MoveResult:
        """What a mover does with its volume, truly."""
        backend = FakeVolumeBackend(task.access, self.storage)
        path = f"/data/{task.claim}"
        place = (task.namespace, task.claim)
        if task.kind is MoveKind.RESTORE:
            self.data[place] = b"".join(backend.read_file(task.snapshot, path))
            return MoveResult(state=MoveState.COMPLETED, snapshot=task.snapshot)
        tags = volume_tags(task.policy, task.run_id, task.claim)
        content = self.data.get(place, b"a few files")
        made = backend.backup_stream(iter([content]), host=task.host, path=path, tags=tags)
        return MoveResult(
            state=MoveState.COMPLETED,
            snapshot=made.id,
            files=1,
            size=len(content),
            added=len(content),
            took=1,
            started="2026-11-21T04:17:05Z",
        )

    def request(self, number: int = 1, **changed: Any) -> RunRequest:
        """The ``number``-th run, an hour after the one before."""
        started = datetime.fromisoformat(f"2026-11-21T0{number}:17:03+00:00")
        request = RunRequest(
            compiled=Compiled(self.policy, (REPOSITORY,)),
            config=self.config,
            policy=PolicyRef(
                name=self.policy.name,
                revision="main@sha1:" + "4" * 40,
                digest=self.digest,
                source="policies/shop.yaml#0",
            ),
            run_id=RUN_IDS[number - 1],
            trigger=Trigger.SCHEDULE,
            started=started,
            deadline=self.clock.now() + timedelta(minutes=10),
            namespace=SYSTEM,
            pod=f"run-{number}-a",
            writer="backstay test",
        )
        return replace(request, **changed)

    def entitled(self, needs: tuple[Need, ...] = ()) -> Entitled:
        """The cluster as an account may use it that has these rights: without, a run's."""
        return Entitled(self.cluster, needs or self.needs, SYSTEM)

    def ports(self, **changed: Any) -> RunPorts:
        """A process of its own: nothing is known but what the world outside knows."""
        entitled = self.entitled()
        ports = RunPorts(
            reader=entitled,
            writer=entitled,
            store=self.make_store(),
            mover=self.mover,
            keyring=self.keyring,
            reporter=self.log,
            clock=self.clock,
            sealer=self.sealer,
        )
        return replace(ports, **changed)

    def run(self, number: int = 1, *, pod: str = "", **changed: Any) -> RunResult:
        """One whole run; ``changed`` replaces ports."""
        request = self.request(number)
        if pod:
            request = replace(request, pod=pod)
        return execute_run(request, self.ports(**changed))

    def restore(self, at: str = "latest", **changed: Any) -> Restore:
        """A restore that is not planned yet; ``changed`` replaces ports, or what is asked for."""
        names = {found.name for found in fields(RestoreRequest)}
        asked = {name: changed.pop(name) for name in names & changed.keys()}
        request = RestoreRequest(
            config=self.config,
            policy="shop",
            at=at,
            allow_partial=False,
            deadline=self.clock.now() + timedelta(hours=1),
            namespace=SYSTEM,
            holder="laptop/1",
        )
        entitled = self.entitled(RESTORE)
        ports = RestorePorts(
            reader=entitled,
            writer=entitled,
            store=self.make_store(),
            mover=self.mover,
            keyring=self.keyring,
            reporter=self.log,
            clock=self.clock,
            opener=self.sealer,
        )
        return Restore(replace(request, **asked), replace(ports, **changed))

    def restored(self, at: str = "latest", **changed: Any) -> RestoreResult:
        """Planned and executed."""
        restore = self.restore(at, **changed)
        return restore.execute(restore.plan())

    # What tests look at

    def deeds(self) -> list[tuple[str, ObjectRef]]:
        """Writes to the cluster, but for the Lease that says who is at work."""
        return [(verb, ref) for verb, ref in self.cluster.writes if ref.kind != "Lease"]

    def commits(self, branch: str = BRANCH) -> list[FakeCommit]:
        """Newest first, as the remote has them."""
        return list(self.remote.history(self.remote.heads.get(branch)))

    def tree(self, branch: str = BRANCH) -> dict[str, bytes]:
        """The newest commit's files."""
        commits = self.commits(branch)
        return dict(commits[0].files) if commits else {}

    def changed_paths(self) -> set[str]:
        """What differs between the newest commit and the one before."""
        new, old = self.commits()[:2]
        paths = {*new.files, *old.files}
        return {path for path in paths if new.files.get(path) != old.files.get(path)}

    def record(self) -> RunRecord:
        """The newest commit's record."""
        return record.parse_record(self.tree()["_run.yaml"])

    def repository(self, namespace: str) -> StoredRepository:
        """restic's own view."""
        url = URL.replace("{cluster}", CLUSTER).replace("{namespace}", namespace)
        return self.storage.repositories[url]

    def lose_shop(self) -> None:
        """Deletes the namespace with all that is in it; volumes go too."""
        self.cluster.remove(manifest("Namespace", "shop", ""))
        self.data.pop(("shop", "files"), None)
