"""A healthy installation in memory, with a run behind it: `world.doctor()` looks it over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from reconciler.engine.controller import Setting, run_cycle
from reconciler.engine.doctor import Step, examine
from reconciler.engine.doctorfacts import DoctorPorts, Facts
from reconciler.engine.doctorsteps import STEPS
from reconciler.model import kinds
from reconciler.model.config import Config, PolicySourceConfig
from reconciler.model.doctor import Checkup, Finding, Level
from reconciler.model.errors import BackstayError
from reconciler.plan.cronjob import Place
from reconciler.plan.doctor import IDS
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.keyring import FakeKeyring
from tests.fakes.policysource import FakePolicySource
from tests.fakes.reporter import FakeReporter
from tests.unit.engine.run_world import CLUSTER, CONFIG, SYSTEM, RunWorld, manifest

CONFIG_FILE = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {{name: {name}}}
policySource: {{url: "ssh://git@git.example.org/p.git"}}
manifestStore: {{url: "ssh://git@git.example.org/captures.git"}}
image: backstay:1
"""
DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "base"
POLICY_FILE = b"""\
apiVersion: backstay.dev/v1alpha1
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
---
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {name: shop}
spec:
  schedule: "17 4 * * *"
  selector: {namespaces: [shop, "shop-*"]}
  volumes: {copyMethod: Direct}
  retention: {keepDaily: 7}
"""


def load_documents() -> tuple[dict[str, Any], ...]:
    """What `deploy/base` installs and the doctor looks at."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    names = ("serviceaccounts.yaml", "admission-run.yaml", "controller.yaml")
    texts = [(DEPLOY / name).read_text() for name in names]
    return tuple(found for text in texts for found in yaml.load_all(text, loader) if found)


_DOCUMENTS = load_documents()


def is_known(identifier: str) -> bool:
    """Whether an id stands in the table; one right of a role is below the role's id."""
    if identifier in IDS:
        return True
    group, _, rest = identifier.partition("/")
    role, *right = rest.split("/", 2)
    return group == "rights" and f"{group}/{role}" in IDS and 1 <= len(right) <= 2


class DoctorWorld(RunWorld):
    """Nothing is wrong with it until a test breaks something."""

    config: Config = replace(
        CONFIG,
        policy_source=PolicySourceConfig(url="ssh://git@git.example.org/p.git", path="policies"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config = DoctorWorld.config
        self.programs: dict[str, str] = {"git": "2.47.3", "restic": "0.18.0"}
        self.source = FakePolicySource()
        self.source.push({"policies/shop.yaml": POLICY_FILE})
        self.writer = "backstay test"
        self.store_error: BackstayError | None = None
        self.cluster_error: BackstayError | None = None
        self.reporter = FakeReporter()
        for kind in (kinds.ADMISSION_POLICIES, kinds.ADMISSION_BINDINGS):
            self.cluster.serve(kind)
        for found in _DOCUMENTS:
            made = self.cluster.put(found)
            if found["kind"] == "Deployment":
                self.controller = made
        image = self.config.image
        self.cluster.edit(self.controller, lambda raw: _make_ready(raw, image))
        pod = manifest("Pod", "backstay-controller-1", SYSTEM, status={"phase": "Running"})
        pod["metadata"]["labels"] = {"backstay.dev/component": "controller"}
        self.cluster.put(pod)
        self.put_config(CLUSTER)
        self.log_cycle("cycle done")
        default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
        self.cluster.put(manifest("storage.k8s.io/v1/StorageClass", "local", "", metadata=default))
        self.cluster.put(_user_of("files"))
        restore = f"system:serviceaccount:{SYSTEM}:backstay-restore"
        self.cluster.denied.add((restore, "create", "everything"))
        self.apply()
        self.run()
        self.cluster.writes.clear()
        self.remote.calls.clear()

    def put_config(self, name: str) -> None:
        """The Config in the cluster is of the cluster with this name."""
        text = CONFIG_FILE.format(name=name)
        found = manifest("ConfigMap", "backstay-config", SYSTEM, data={"backstay.yaml": text})
        self.cluster.put(found)

    def apply(self) -> None:
        """One cycle of the controller."""
        run_cycle(
            Setting(
                config=self.config,
                place=Place(namespace=SYSTEM),
                holder="backstay-controller-1/uid",
                source=self.source,
                reader=self.cluster,
                writer=self.cluster,
                reporter=self.log,
                clock=self.clock,
            ),
            lambda _: None,
        )

    def log_cycle(self, event: str, **fields: str) -> None:
        """The controller's log ends with this line."""
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"event": event, "time": now, **fields})
        self.cluster.log_lines[SYSTEM, "backstay-controller-1"] = f"noise\n{line}\n"

    def push_policies(self, text: bytes) -> None:
        """A new revision of the one policy file."""
        self.source.push({"policies/shop.yaml": text})

    def facts(self, policy: str = "") -> Facts:
        """What a process of its own knows at first."""
        return Facts(
            config=self.config,
            ports=self.doctor_ports(),
            namespace=SYSTEM,
            policy=policy,
            writer=self.writer,
        )

    def doctor_ports(self, **changed: Any) -> DoctorPorts:
        """The world as `backstay doctor` is given it: nothing that writes."""

        def connect() -> Any:
            if self.cluster_error:
                raise self.cluster_error
            return self.cluster

        def open_store() -> FakeManifestStore:
            if self.store_error:
                raise self.store_error
            return FakeManifestStore(self.remote)

        ports = DoctorPorts(
            cluster=connect,
            source=lambda: self.source,
            store=open_store,
            inventory=open_store,
            keyring=lambda: FakeKeyring(
                self.storage, CLUSTER, self.keyring.masters, read_only=True
            ),
            program=self.programs.__getitem__,
            clock=self.clock,
            reporter=self.reporter,
        )
        return replace(ports, **changed)

    def doctor(
        self,
        *,
        policy: str = "",
        groups: Sequence[str] = (),
        steps: Sequence[Step] = STEPS,
        **changed: Any,
    ) -> Checkup:
        """A whole checkup. Every id is known; whatever is wrong has a next step."""
        facts = self.facts(policy)
        facts.ports = self.doctor_ports(**changed)
        made = examine(steps, facts.ports, facts, groups=groups)
        for found in made.findings:
            assert is_known(found.id), found
            if found.level in (Level.WARNING, Level.PROBLEM):
                assert found.hint, found
        return made

    def wrong(self, **options: Any) -> list[Finding]:
        """What a checkup says that is neither ok nor only worth knowing."""
        good = (Level.OK, Level.INFO)
        return [one for one in self.doctor(**options).findings if one.level not in good]


def _make_ready(raw: dict[str, Any], image: str) -> None:
    raw["spec"]["template"]["spec"]["containers"][0]["image"] = image
    raw["status"] = {"readyReplicas": 1}


def _user_of(claim: str) -> dict[str, Any]:
    """A pod on a node that mounts a claim."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    containers = [{"name": "web", "image": "web:1"}]
    spec = {"nodeName": "node-1", "volumes": volumes, "containers": containers}
    return manifest("Pod", "web-1", "shop", spec=spec, status={"phase": "Running"})
