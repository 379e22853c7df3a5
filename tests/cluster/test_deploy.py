"""What ``deploy/`` gives, on a real API server: the accounts can do their work and nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.adapters.kube import KubeClient
from reconciler.adapters.movers import JobMover
from reconciler.engine.controller import Cycle, Setting, make_plan, run_cycle
from reconciler.model.errors import Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveKind, MoveState, MoveTask, RepositoryAccess
from reconciler.plan import moverjob
from reconciler.plan.cronjob import Place
from tests.cluster import faroff
from tests.cluster.badjobs import BAD_JOBS, NOT_EVEN_ROOT, ROOT, ROOT_JOBS, edited
from tests.cluster.faroff import files, policy_yaml
from tests.cluster.installation import example
from tests.fakes.kubekinds import kind
from tests.fakes.policysource import FakePolicySource
from tests.rig.cluster import images
from tests.rig.cluster.providers import Cluster
from tests.rig.policyrepo import PolicyRepository
from tests.unit.engine.controller_world import CONFIG, Log

OWN = "backstay-system"
IMAGE = "localhost/backstay-rig/busybox:1"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def deployed(cluster: Cluster) -> Iterator[Cluster]:
    """Apply the example, with no controller running: here the test is the controller."""
    text = example(cluster)
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)
    yield cluster
    cluster.kubectl("delete", "--ignore-not-found", "--timeout=300s", "-f", "-", input=text)


@pytest.fixture(scope="module")
def connect(
    deployed: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], KubeClient]]:
    """Return a function: service account → a client with its token."""
    folder = tmp_path_factory.mktemp("accounts")
    clients: dict[str, KubeClient] = {}

    def client(account: str) -> KubeClient:
        if account not in clients:
            config = yaml.safe_load(deployed.kubeconfig.read_text())
            token = deployed.kubectl("-n", OWN, "create", "token", account).strip()
            config["users"][0]["user"] = {"token": token}
            path = folder / account
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(config))
            clients[account] = KubeClient.connect(path, version="test")
        return clients[account]

    yield client
    for found in clients.values():
        found.close()


@pytest.fixture
def tenant(deployed: Cluster) -> Iterator[str]:
    """Return a namespace of somebody's own, with a Secret in it."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    deployed.kubectl("create", "namespace", name)
    deployed.kubectl("-n", name, "create", "secret", "generic", "theirs", "--from-literal=a=b")
    yield name
    deployed.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def root_tenant(deployed: Cluster) -> Iterator[str]:
    """Return a namespace whose administrator allows privileged movers."""
    # Made with the annotation, not given it: admission reads namespaces from a cache.
    with annotated(deployed, "true") as name:
        yield name


@contextmanager
def annotated(cluster: Cluster, value: str) -> Iterator[str]:
    """A namespace that says this of privileged movers."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "annotations": {"backstay.dev/privileged-movers": value}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.kubectl("create", "-f", "-", input=json.dumps(body))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def may(cluster: Cluster, account: str, verb: str, resource: str, *, namespace: str = "") -> bool:
    """Ask the API server."""
    where = ("-n", namespace) if namespace else ("--all-namespaces",)
    user = f"--as=system:serviceaccount:{OWN}:{account}"
    group, _, sub = resource.partition("/")
    extra = (f"--subresource={sub}",) if sub else ()
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(cluster.kubeconfig),
            "auth", "can-i", verb, group, *extra, *where, user,
        ],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    answer = done.stdout.strip().splitlines()
    assert answer, done.stderr
    assert answer[-1].split()[0] in ("yes", "no"), done.stdout + done.stderr
    return answer[-1].startswith("yes")


@pytest.mark.parametrize(
    ("account", "verb", "resource", "namespace"),
    [
        ("backstay-controller", "get", "secrets", OWN),
        ("backstay-controller", "list", "secrets", OWN),
        ("backstay-controller", "delete", "jobs", OWN),
        ("backstay-controller", "create", "pods", OWN),
        ("backstay-controller", "delete", "namespaces", ""),
        ("backstay-controller", "get", "pods", "default"),
        ("backstay-run", "get", "pods/exec", ""),
        ("backstay-run", "create", "pods/exec", ""),
        ("backstay-run", "get", "nodes/proxy", ""),
        ("backstay-run", "get", "configmaps", ""),
        ("backstay-run", "watch", "secrets", ""),
        ("backstay-run", "create", "serviceaccounts/token", ""),
        ("backstay-run", "impersonate", "serviceaccounts", ""),
        ("backstay-run", "create", "pods", ""),
        ("backstay-run", "delete", "pods", ""),
        ("backstay-run", "patch", "namespaces", ""),
        ("backstay-run", "create", "cronjobs", OWN),
        ("backstay-restore", "list", "pods", "default"),
        ("backstay-restore", "get", "configmaps", OWN),
    ],
)
def test_what_an_account_may_not(
    deployed: Cluster, account: str, verb: str, resource: str, namespace: str
) -> None:
    assert not may(deployed, account, verb, resource, namespace=namespace)


def test_a_run_may_list_every_kind_that_the_cluster_serves(
    connect: Callable[[str], KubeClient],
) -> None:
    client = connect("backstay-run")
    found = client.discover()
    assert found.failed == ()
    assert len(found.resources) > 40
    for resource in found.resources:
        next(iter(client.pages(resource)), None)
    assert client.identity().uid


def test_the_admission_policy_has_no_type_errors(deployed: Cluster) -> None:
    for _ in range(1000):
        text = deployed.kubectl(
            "get", "validatingadmissionpolicy", "backstay-run", "-o", "jsonpath={.status}"
        )
        status = json.loads(text or "{}")
        if "typeChecking" in status:
            assert status["typeChecking"] == {}
            return
        time.sleep(0.2)
    pytest.fail("the policy was never type-checked")


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}
"""What a mover needs to be more than a failure."""


def task(namespace: str, *, privileged: bool = False) -> MoveTask:
    """A mover's task of a made-up run."""
    access = RepositoryAccess(
        name="main",
        namespace=namespace,
        url="s3:https://s3.example.org/b",
        secret="restic-main",
        environment={"RESTIC_PASSWORD": "x" * 32},
    )
    return MoveTask(
        kind=MoveKind.BACKUP,
        run_id=f"shop-20261121-041703-{uuid.uuid4().hex[:5]}",
        policy="shop",
        namespace=namespace,
        claim="data",
        access=access,
        host=f"prod/{namespace}",
        image=IMAGE,
        privileged=privileged,
    )


@pytest.mark.parametrize("privileged", [False, True])
def test_a_run_may_start_and_remove_its_movers(
    deployed: Cluster,
    connect: Callable[[str], KubeClient],
    tenant: str,
    root_tenant: str,
    privileged: bool,
) -> None:
    tenant = root_tenant if privileged else tenant
    deployed.kubectl("-n", tenant, "create", "-f", "-", input=json.dumps(CLAIM))
    client = connect("backstay-run")
    mover = JobMover(client, client)
    wanted = task(tenant, privileged=privileged)
    assert mover.ensure(wanted).state is MoveState.RUNNING
    assert mover.ensure(wanted).state is MoveState.RUNNING
    name = moverjob.mover_name(wanted)
    assert client.get(kind("Secret"), name, namespace=tenant) is not None
    mover.cleanup(wanted)
    assert client.get(kind("Secret"), name, namespace=tenant) is None


@pytest.mark.parametrize("what", BAD_JOBS)
def test_a_run_may_not_make_a_job(
    connect: Callable[[str], KubeClient], tenant: str, what: str
) -> None:
    good = moverjob.make_job(task(tenant), moverjob.MoverSettings(), suspend=True)
    with pytest.raises(Refused, match="backstay-run"):
        connect("backstay-run").create(edited(good, BAD_JOBS[what]))


@pytest.mark.parametrize("what", NOT_EVEN_ROOT)
def test_a_run_may_not_make_a_job_even_where_root_is_allowed(
    connect: Callable[[str], KubeClient], root_tenant: str, what: str
) -> None:
    reason, change = NOT_EVEN_ROOT[what]
    wanted = task(root_tenant, privileged=True)
    good = moverjob.make_job(wanted, moverjob.MoverSettings(), suspend=True)
    with pytest.raises(Refused, match=reason):
        connect("backstay-run").create(edited(good, change))


def test_root_is_for_the_administrator_of_the_namespace_to_allow(
    deployed: Cluster, connect: Callable[[str], KubeClient], tenant: str, root_tenant: str
) -> None:
    client = connect("backstay-run")

    def make(namespace: str, change: Callable[[Object], object], *, privileged: bool) -> None:
        wanted = task(namespace, privileged=privileged)
        good = moverjob.make_job(wanted, moverjob.MoverSettings(), suspend=True)
        client.create(edited(good, change))

    with annotated(deployed, "True") as nearly:
        for namespace in (tenant, nearly):
            with pytest.raises(Refused, match=ROOT):
                make(namespace, lambda _: None, privileged=True)
    for change in ROOT_JOBS.values():
        with pytest.raises(Refused, match=ROOT):
            make(tenant, change, privileged=False)
        make(root_tenant, change, privileged=False)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("no label", lambda secret: secret["metadata"].pop("labels")),
        (
            "a token",
            lambda secret: (
                secret.update(type="kubernetes.io/service-account-token", data={}),
                secret["metadata"]["annotations"].update(
                    {"kubernetes.io/service-account.name": "default"}
                ),
            ),
        ),
    ],
)
def test_a_run_may_not_make_a_secret(
    connect: Callable[[str], KubeClient],
    tenant: str,
    name: str,
    change: Callable[[Object], object],
) -> None:
    secret = moverjob.make_secret(task(tenant), "11111111-1111-4111-8111-111111111111")
    del secret["metadata"]["ownerReferences"]
    # The adapter never repeats what a server says about a Secret: it may quote a value.
    with pytest.raises(Refused, match="403 Forbidden"):
        connect("backstay-run").create(edited(secret, change))


def test_a_run_may_not_touch_what_is_not_its_own(
    deployed: Cluster, connect: Callable[[str], KubeClient], tenant: str
) -> None:
    client = connect("backstay-run")
    for verb in ("delete", "patch"):
        # RBAC would let it: what follows is the admission policy's word.
        assert may(deployed, "backstay-run", verb, "secrets", namespace=tenant)
    with pytest.raises(Refused, match="403 Forbidden"):
        client.delete(ObjectRef(group="", kind="Secret", namespace=tenant, name="theirs"))
    theirs = moverjob.make_secret(task(tenant), "11111111-1111-4111-8111-111111111111")
    theirs["metadata"]["name"] = "theirs"
    theirs["data"] = {"b": base64.b64encode(b"c").decode()}
    with pytest.raises(Refused, match="403 Forbidden"):
        client.apply(theirs)
    assert deployed.kubectl("-n", tenant, "get", "secret", "theirs", "-o", "name")


class Controller:
    """The controller's cycles on the real cluster, as its own account."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.source = FakePolicySource()
        self.log = Log()
        self.setting = Setting(
            config=replace(CONFIG, image=IMAGE, image_pull_policy="Never"),
            place=Place(namespace=OWN),
            holder=f"test/{uuid.uuid4()}",
            source=self.source,
            reader=client,
            writer=client,
            reporter=self.log,
            clock=SystemClock(),
        )

    def cycle(self) -> Cycle:
        """One cycle; its log is in the failure's text."""
        cycle = run_cycle(self.setting, lambda _: None)
        assert cycle.error is None, f"{cycle.error!r} {cycle.error} {self.log.lines}"
        return cycle


@pytest.fixture
def controller(deployed: Cluster, connect: Callable[[str], KubeClient]) -> Iterator[Controller]:
    """Return a controller of a namespace without policies."""
    yield Controller(connect("backstay-controller"))
    ours = "backstay.dev/component in (policy,state,lease)"
    mine = "cronjobs,configmaps,leases,jobs,backuppolicies"
    deployed.kubectl("-n", OWN, "delete", mine, "-l", ours)


def versions(cluster: Cluster) -> dict[str, str]:
    """kind/name → resourceVersion of everything in Backstay's namespace that can be ours."""
    kinds = "cronjobs,configmaps,leases,jobs,backuppolicies,events"
    text = cluster.kubectl("-n", OWN, "get", kinds, "-o", "json")
    return {
        f"{found['kind']}/{found['metadata']['name']}": found["metadata"]["resourceVersion"]
        for found in json.loads(text)["items"]
    }


def test_i7_a_cycle_without_a_change_reads_eight_times_and_writes_nothing(
    deployed: Cluster, controller: Controller
) -> None:
    controller.source.push(files("mail", "shop"))
    assert controller.cycle().plan.counts()["created"] == 4  # type: ignore[union-attr]
    before = versions(deployed)
    assert {"CronJob/backstay-mail", "CronJob/backstay-shop", "ConfigMap/backstay-state"} <= set(
        before
    )
    sent = dict(controller.client.requests)
    cycle = controller.cycle()
    assert cycle.plan is not None
    assert cycle.plan.empty, cycle.plan.pending
    # docs/controller.md says so too
    now = controller.client.requests
    assert {method: now[method] - sent.get(method, 0) for method in now if now[method]} == {
        method: 8 if method == "GET" else 0 for method in now
    }
    assert versions(deployed) == before


def test_i6_after_each_kind_of_change_the_plan_is_empty(
    deployed: Cluster, controller: Controller
) -> None:
    for revision in (
        files("mail", "shop"),
        files("shop", mail=policy_yaml("mail", faroff.cron(1))),
        files("shop"),
    ):
        controller.source.push(revision)
        assert controller.cycle().exit_code == 0
        again = make_plan(controller.setting).plan
        assert again is not None
        assert again.empty, again.pending
    limited = replace(CONFIG, image=IMAGE, image_pull_policy="Always")
    controller.setting = replace(controller.setting, config=limited)
    assert controller.cycle().plan.counts()["configured"] == 1  # type: ignore[union-attr]
    assert make_plan(controller.setting).plan.empty  # type: ignore[union-attr]


def test_an_edit_by_hand_is_a_conflict_that_is_told_and_not_forced(
    deployed: Cluster, controller: Controller
) -> None:
    controller.source.push(files("shop"))
    controller.cycle()
    deployed.kubectl(
        "-n", OWN, "patch", "cronjob", "backstay-shop", "-p", '{"spec":{"suspend":true}}'
    )
    before = versions(deployed)
    cycle = controller.cycle()
    assert cycle.plan is not None
    reasons = [c.reason for c in cycle.plan.changes if c.action == "skipped"]
    assert len(reasons) == 1
    assert "spec.suspend by kubectl-patch" in reasons[0]
    after = versions(deployed)
    assert after["CronJob/backstay-shop"] == before["CronJob/backstay-shop"]
    message = 'jsonpath={.status.conditions[?(@.type=="Stalled")].message}'
    shown = deployed.kubectl("-n", OWN, "get", "backuppolicy", "shop", "-o", message)
    assert "spec.suspend by kubectl-patch" in shown
    controller.cycle()
    assert versions(deployed) == after
    deployed.kubectl(
        "-n", OWN, "patch", "cronjob", "backstay-shop", "-p", '{"spec":{"suspend":false}}'
    )
    assert controller.cycle().plan.empty  # type: ignore[union-attr]


def test_a_run_of_a_schedule_passes_pod_security_and_outlives_its_policy(
    deployed: Cluster, controller: Controller
) -> None:
    controller.source.push(files("mail", "shop"))
    controller.cycle()
    name = f"manual-{uuid.uuid4().hex[:6]}"
    deployed.kubectl("-n", OWN, "create", "job", name, "--from=cronjob/backstay-shop")
    pods = ""
    for _ in range(1000):
        pods = deployed.kubectl(
            "-n", OWN, "get", "pods", "-l", f"job-name={name}", "-o", "name"
        ).strip()
        if pods:
            break
        time.sleep(0.2)
    assert pods, deployed.kubectl("-n", OWN, "describe", "job", name)
    controller.source.push(files("mail"))
    cycle = controller.cycle()
    assert cycle.plan is not None
    assert cycle.plan.counts()["deleted"] == 1
    left = versions(deployed)
    assert "CronJob/backstay-shop" not in left
    assert f"Job/{name}" in left
    owners = deployed.kubectl(
        "-n", OWN, "get", "job", name, "-o", "jsonpath={.metadata.ownerReferences}"
    )
    assert owners == ""
    deployed.kubectl("-n", OWN, "delete", "job", name)


_STARTED: list[str] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        _STARTED.append(Path(str(arguments[1][0])).name)


def test_a_cycle_without_a_change_is_one_git_process(
    controller: Controller, tmp_path: Path
) -> None:
    sys.addaudithook(_hook)
    repository = PolicyRepository(tmp_path / "policies.git")
    repository.push(files("shop"))
    credentials = GitCredentials()
    work = tmp_path / "work"
    work.mkdir()
    with GitPolicySource(
        repository.url, ref="main", path="policies", credentials=credentials, workdir=work,
        allow_local=True,
    ) as source:  # fmt: skip
        controller.setting = replace(controller.setting, source=source)
        assert controller.cycle().exit_code == 0
        controller.cycle()
        _STARTED.clear()
        assert controller.cycle().plan.empty  # type: ignore[union-attr]
        # It asks the remote for the branch's tip. docs/controller.md says so too.
        assert _STARTED == ["git"]


def test_the_image_of_these_tests_is_the_rigs() -> None:
    assert IMAGE in {image.name for image in images.ensure()}


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller"])
def test_who_applies_it_server_side_sees_no_difference(deployed: Cluster, manager: str) -> None:
    """As docs/install.md says: what the API server fills in is nobody's drift."""
    compare = ("diff", "--server-side", "--force-conflicts", f"--field-manager={manager}")
    assert deployed.kubectl(*compare, "-f", "-", input=example(deployed)) == ""
