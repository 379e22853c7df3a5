"""``backstay controller`` and ``backstay plan`` as people run them: over SSH, on a real cluster."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import faroff
from tests.cluster.faroff import files, policy_yaml
from tests.rig import typedpage
from tests.rig.cluster import paths
from tests.rig.cluster.definitions import wait_established, wait_gone
from tests.rig.cluster.providers import Cluster
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.sshd import Sshd
from tests.unit.engine.controller_world import BROKEN

NAMESPACE = "backstay-command"
BACKSTAY = Path(sys.executable).parent / "backstay"
CONFIG = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {{name: prod-eu}}
policySource: {{url: "{url}", path: policies, interval: 10s, file: {keys}}}
manifestStore: {{url: "ssh://git@git.example.org/captures.git", file: {keys}}}
image: localhost/backstay-rig/busybox:1
sharedKeyInTenants: true
"""
CAPTURES = "ssh://git@git.example.org/captures.git"
GUIDE = paths.REPOSITORY / "docs/first-policy.md"
GUIDED = re.DOTALL | re.MULTILINE
WORLD = str(paths.REPOSITORY / "tests/cluster/first-policy.yaml")


@dataclass(frozen=True, slots=True)
class Installation:
    """A policy repository behind sshd, a Config, and a namespace of the cluster."""

    cluster: Cluster
    policies: PolicyRepository
    config: Path
    environment: dict[str, str]

    def arguments(self, *words: str) -> list[str]:
        """The command line of a verb."""
        where = ("--config", str(self.config), "--kubeconfig", str(self.cluster.kubeconfig))
        return [str(BACKSTAY), *words, *where]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a verb to its end."""
        return subprocess.run(
            self.arguments(*words), env=self.environment, capture_output=True, text=True,
            check=False, timeout=400,
        )  # fmt: skip

    def cron_jobs(self) -> list[str]:
        """Names of the CronJobs."""
        text = self.cluster.kubectl("-n", NAMESPACE, "get", "cronjobs", "-o", "name")
        return [line.partition("/")[2] for line in text.split()]


@contextlib.contextmanager
def installed(cluster: Cluster, folder: Path) -> Iterator[Installation]:
    """An installation without policies, with what it needs below ``folder``."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    with Sshd(folder / "sshd", tied=True) as server:
        policies = PolicyRepository(server.create("policies"))
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        for name, data in server.secret().items():
            (keys / name).touch(mode=0o600)
            (keys / name).write_bytes(data)
        config = folder / "backstay.yaml"
        config.write_text(CONFIG.format(url=server.url("policies"), keys=keys))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "BACKSTAY_NAMESPACE": NAMESPACE,
            "BACKSTAY_CACHE_DIR": str(folder / "cache"),
        }
        yield Installation(cluster, policies, config, environment)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=300s")


@pytest.fixture
def home(cluster: Cluster, tmp_path: Path) -> Iterator[Installation]:
    """Return an installation without policies."""
    with installed(cluster, tmp_path) as home:
        yield home


def lines(text: str) -> list[dict[str, Any]]:
    """The log of a controller; the last line may be half written."""
    whole = text.rpartition("\n")[0].splitlines()
    return [json.loads(line) for line in whole if line.startswith("{")]


def test_from_a_merged_policy_to_a_schedule_and_back(home: Installation) -> None:
    home.policies.push(files("mail", "shop"))
    planned = home.run("plan", "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert (
        "created     CronJob/backstay-shop: policy shop has no such CronJob yet" in planned.stdout
    )
    assert "note: retention is recorded and not enforced yet" in planned.stdout
    assert "Policy shop selects no namespace now: a run would fail" in planned.stdout
    assert home.cron_jobs() == []

    once = home.run("controller", "--once")
    assert once.returncode == 0, once.stderr
    assert home.cron_jobs() == ["backstay-mail", "backstay-shop"]
    assert lines(once.stderr)[-1]["created"] == 4
    assert home.run("plan", "--detailed-exitcode").returncode == 0

    home.policies.push(files(mail=policy_yaml("mail", faroff.cron(1)), shop=BROKEN))
    ill = home.run("controller", "--once")
    assert ill.returncode == 4
    problems = [line for line in lines(ill.stderr) if line["event"] == "problem"]
    assert "policies/shop.yaml:5:3" in [problem["where"] for problem in problems]
    document = json.loads(home.run("plan", "-o", "json").stdout)
    assert document["formatVersion"] == 1
    assert {p["line"] for p in document["problems"]} >= {5}
    assert home.cron_jobs() == ["backstay-mail", "backstay-shop"]

    home.policies.push({"README.md": b"moved"})
    assert home.run("controller", "--once").returncode == 4
    assert home.cron_jobs() == ["backstay-mail", "backstay-shop"]

    home.policies.push(files("mail"))
    gone = home.run("controller", "--once")
    assert gone.returncode == 0, gone.stderr
    assert home.cron_jobs() == ["backstay-mail"]


def test_a_rewritten_history_deletes_nothing_over_a_shallow_clone(home: Installation) -> None:
    home.policies.push(files("mail", "shop"))
    assert home.run("controller", "--once").returncode == 0
    for _ in range(40):
        home.policies.push(files("mail", "shop") | {"README.md": os.urandom(4)})
    home.policies.push(files("mail"), rewrite=True)
    done = home.run("controller", "--once")
    assert done.returncode == 0, done.stderr
    assert "history was rewritten" in done.stderr
    assert home.cron_jobs() == ["backstay-mail", "backstay-shop"]


def test_a_shallow_clone_still_knows_an_honest_history(home: Installation) -> None:
    home.policies.push(files("mail", "shop"))
    assert home.run("controller", "--once").returncode == 0
    for _ in range(40):
        home.policies.push(files("mail", "shop") | {"README.md": os.urandom(4)})
    home.policies.push(files("mail"))
    assert home.run("controller", "--once").returncode == 0
    assert home.cron_jobs() == ["backstay-mail"]


def test_errors_say_what_to_do(home: Installation) -> None:
    for key in (home.config.parent / "keys").iterdir():
        if key.name == "known_hosts":
            key.write_text("")
    done = home.run("controller", "--once")
    assert done.returncode == 1
    assert "hint: " in done.stderr
    home.config.write_text("kind: Config\n")
    assert home.run("controller", "--once").returncode == 4
    home.config.unlink()
    assert home.run("controller", "--once").returncode == 2


def test_the_loop_follows_git_and_config_and_ends_when_asked(
    home: Installation, tmp_path: Path
) -> None:
    home.policies.push(files("shop"))
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            home.arguments("controller"), env=home.environment, stderr=out, stdout=out
        )
    try:
        wait_for(lambda: home.cron_jobs() == ["backstay-shop"], log)
        home.config.write_text(home.config.read_text().replace("busybox:1", "busybox:2"))
        home.policies.push(files("mail", "shop"))
        wait_for(lambda: home.cron_jobs() == ["backstay-mail", "backstay-shop"], log)
        image = "jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image}"
        shown = ("-n", NAMESPACE, "get", "cronjob", "backstay-shop", "-o", image)
        # A cycle that had read Config before may have been the one that read Git after.
        wait_for(lambda: home.cluster.kubectl(*shown).endswith("busybox:2"), log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=300) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def shown(home: Installation) -> Iterator[Installation]:
    """Return an installation whose cluster knows BackupPolicy objects, as `deploy/` installs it."""
    crd = str(paths.REPOSITORY / "deploy/base/crd-backuppolicies.yaml")
    home.cluster.kubectl("apply", "--server-side", "-f", crd)
    wait_established(home.cluster.kubectl, "backuppolicies.backstay.dev")
    yield home
    home.cluster.kubectl("delete", "-f", crd, "--timeout=300s")
    wait_gone(home.cluster.kubectl, "backuppolicies.backstay.dev")


def test_kubectl_shows_what_is_in_force_and_changes_nothing_of_it(shown: Installation) -> None:
    def kubectl(*words: str) -> str:
        return shown.cluster.kubectl("-n", NAMESPACE, *words)

    def wait(condition: str) -> None:
        kubectl("wait", f"--for={condition}", "backuppolicy/shop", "--timeout=300s")

    def spec() -> Any:
        return json.loads(kubectl("get", "backuppolicy", "shop", "-o", "json"))["spec"]

    shown.policies.push(files("shop"))
    assert shown.run("controller", "--once").returncode == 0
    wait("condition=Ready")
    head, row = kubectl("get", "backuppolicies").splitlines()
    assert head.split()[:4] == ["NAME", "SCHEDULE", "LAST", "RUN"]
    assert row.split()[:6] == ["shop", *faroff.CRON.split()]
    assert "True" in row.split()
    before = spec()

    for change, where in (
        ({"spec": {"suspend": True, "profile": "mine"}}, ()),
        ({"status": {"nextRun": "2031-01-01T00:00:00Z"}}, ("--subresource=status",)),
        ({"metadata": {"annotations": {"backstay.dev/requestedAt": "1795234623"}}}, ()),
    ):
        patch = ("--type=merge", "-p", json.dumps(change), *where)
        kubectl("patch", "backuppolicy", "shop", *patch, "--field-manager=a-hand")
    assert shown.run("controller", "--once").returncode == 0
    assert spec() == before
    wait("jsonpath={.status.lastHandledReconcileAt}=1795234623")
    assert "2031" not in kubectl("get", "backuppolicy", "shop", "-o", "jsonpath={.status.nextRun}")
    told = json.loads(kubectl("get", "events", "-o", "json"))["items"]
    notes = [event["message"] for event in told if event["reason"] == "PutBack"]
    assert len(notes) == 2, told
    assert all("a-hand" in note for note in notes), notes
    version = ("get", "backuppolicy", "shop", "-o", "jsonpath={.metadata.resourceVersion}")
    before = kubectl(*version)
    assert shown.run("controller", "--once").returncode == 0
    assert kubectl(*version) == before

    shown.policies.push(files(shop=BROKEN))
    assert shown.run("controller", "--once").returncode == 4
    wait("condition=Stalled")
    assert "policies/shop.yaml:" in kubectl("get", "backuppolicies", "-o", "wide")


def test_the_guides_last_step_prints_what_it_shows(
    shown: Installation, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """docs/first-policy.md, what needs a cluster; tests/integration/cli types the rest."""
    heading = "\n## 7. In the cluster\n"
    before, _, last = GUIDE.read_text().partition(heading)
    policies = {
        f"policies/{name}.yaml": found.encode()
        for name, found in re.findall(r"> policies/(\w+)\.yaml <<'END'\n(.*?)^END$", before, GUIDED)
    }
    text = policies["policies/shop.yaml"].replace(b"timezone", b"timeZone")
    policies["policies/shop.yaml"] = text.replace(b"keepDaly: 7", b"keepDaily: 3")
    config = shown.config.read_text()  # a manifest repository that is there, and has no run yet
    shown.config.write_text(config.replace(CAPTURES, re.findall('url: "(.*?)"', config)[0]))
    shown.cluster.kubectl("apply", "-f", WORLD)
    try:
        for claim in ("shop/uploads", "shop/web-cache", "shop-eu/orders"):
            namespace, _, name = claim.partition("/")
            bound = ("wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=300s")
            shown.cluster.kubectl("-n", namespace, *bound, f"pvc/{name}")
        shown.policies.push(policies)
        assert shown.run("controller", "--once").returncode == 0
        wait = ("wait", "--for=condition=Ready", "backuppolicy/shop", "--timeout=300s")
        shown.cluster.kubectl("-n", NAMESPACE, *wait)
        commands = [
            found.replace("backstay-system", NAMESPACE) for found in typedpage.commands(last)
        ]
        environment = shown.environment | {
            "KUBECONFIG": str(shown.cluster.kubeconfig),
            "PATH": f"{BACKSTAY.parent}:{os.environ['PATH']}",
        }
        answers = typedpage.type_all(commands, tmp_path, environment)
    finally:
        shown.cluster.kubectl("delete", "-f", WORLD)
    assert [code for code, _ in answers] == [0] * len(answers), answers
    told = [printed.replace(NAMESPACE, "backstay-system") for _, printed in answers]
    new = typedpage.filled(last, told)
    if pytestconfig.getoption("--update-golden"):
        GUIDE.write_text(before + heading + new)
        return
    assert new == last


def wait_for(what: Any, log: Path) -> None:
    """Waits up to five minutes."""
    for _ in range(600):
        if what():
            return
        time.sleep(0.5)
    pytest.fail(log.read_text())
