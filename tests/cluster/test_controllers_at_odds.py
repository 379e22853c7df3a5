"""Controllers on a real API server: killed around a write, and two of them at once.

Each runs as a process of this machine, through a proxy that holds one of its requests: so it is at
a known point when it is killed, or when the other one comes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cluster import faroff
from tests.cluster.test_controller_command import (
    NAMESPACE,
    Installation,
    home,
    wait_for,
)
from tests.rig.cluster.providers import GIVEN, Built, Cluster
from tests.rig.proxies import ApiProxy

__all__ = ["home"]
LEASE = "backstay-controller"


@dataclass(frozen=True, slots=True)
class Controllers:
    """An installation whose controllers reach the API server through a proxy."""

    home: Installation
    proxy: ApiProxy
    kubeconfig: Path

    @contextmanager
    def started(self, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """The loop, under the name of a pod; killed at the end of the block, with its log."""
        log = self.home.config.parent / f"{name}.log"
        environment = {
            **self.home.environment,
            "BACKSTAY_POD": name,
            "BACKSTAY_POD_UID": "uid",
            "BACKSTAY_CACHE_DIR": str(self.home.config.parent / f"cache-{name}"),
        }
        argv = self.through_the_proxy("controller")
        with log.open("ab") as out:
            process = subprocess.Popen(argv, env=environment, stderr=out, stdout=out)
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()

    def through_the_proxy(self, *words: str) -> list[str]:
        """A command line that uses the proxy's kubeconfig."""
        direct = str(self.home.cluster.kubeconfig)
        arguments = self.home.arguments(*words)
        return [str(self.kubeconfig) if word == direct else word for word in arguments]

    def holder(self) -> str:
        """Who has the Lease."""
        path = "jsonpath={.spec.holderIdentity}"
        return self.home.cluster.kubectl("-n", NAMESPACE, "get", "lease", LEASE, "-o", path)

    def state(self) -> dict[str, str]:
        """CronJobs and their schedules."""
        text = self.home.cluster.kubectl("-n", NAMESPACE, "get", "cronjobs", "-o", "json")
        found = json.loads(text)["items"]
        return {job["metadata"]["name"]: job["spec"]["schedule"] for job in found}

    def uid(self, name: str) -> str:
        """Which CronJob it is: one that was deleted and made again is another."""
        return self.home.cluster.kubectl(
            "-n", NAMESPACE, "get", "cronjob", name, "-o", "jsonpath={.metadata.uid}"
        )

    def once(self, name: str) -> subprocess.CompletedProcess[str]:
        """One cycle of the controller in that pod, not through the proxy."""
        home = replace(
            self.home,
            environment={**self.home.environment, "BACKSTAY_POD": name, "BACKSTAY_POD_UID": "uid"},
        )
        return home.run("controller", "--once")

    def push(self, *, there: bool) -> dict[str, str]:
        """A revision in which one policy comes, one changes and one goes; what it asks for.

        ``there`` and back: each of the two is such a change of the other.
        """
        name, cron = ("news", faroff.cron(1)) if there else ("shop", faroff.CRON)
        self.home.policies.push(faroff.files(name, mail=faroff.policy_yaml("mail", cron)))
        return {"backstay-mail": cron, f"backstay-{name}": faroff.CRON}


@pytest.fixture
def controllers(home: Installation, cluster: Cluster, tmp_path: Path) -> Iterator[Controllers]:
    """Return an installation with the schedules `mail` and `shop`."""
    if not isinstance(cluster.provider, Built):
        pytest.fail(f"a proxy stands before the rig's own cluster only: unset {GIVEN}")
    with ApiProxy.of(cluster.provider.instance, tmp_path / "proxy") as proxy:
        found = Controllers(home, proxy, proxy.kubeconfig(cluster))
        found.push(there=False)
        assert found.once("first").returncode == 0
        yield found


def test_i11_killed_and_started_again_it_makes_the_same_of_it(controllers: Controllers) -> None:
    points = {
        "before the first write": ("PATCH", r"/configmaps/backstay-mail-"),
        "between two writes": ("PATCH", r"/cronjobs/backstay-mail\b"),
        "before a deletion": ("DELETE", r"/cronjobs/"),
    }
    same = controllers.uid("backstay-mail")
    for number, (point, where) in enumerate(points.items()):
        wanted = controllers.push(there=number % 2 == 0)
        with controllers.proxy.held(*where) as hold:
            with controllers.started("pod"):
                hold.wait()
                assert controllers.state() != wanted, point
            again = controllers.once("pod")
            assert again.returncode == 0, again.stderr
            assert controllers.state() == wanted, point
        assert controllers.uid("backstay-mail") == same, point
        assert controllers.holder() == "", point
    assert controllers.home.run("plan", "--detailed-exitcode").returncode == 0


def test_two_controllers_at_once_and_the_one_that_writes_dies(controllers: Controllers) -> None:
    old = controllers.state()
    wanted = controllers.push(there=True)
    with (
        controllers.proxy.held("PATCH", r"/cronjobs/backstay-mail\b") as hold,
        controllers.started("pod-1") as (writer, _),
    ):
        hold.wait()
        with controllers.started("pod-2") as (_, log):
            wait_for(lambda: "another controller, pod-1/uid, is writing" in log.read_text(), log)
            writer.kill()
            writer.wait()
            assert (controllers.holder(), controllers.state()) == ("pod-1/uid", old)
            # Its time passes: nobody renews it.
            past = {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
            controllers.home.cluster.kubectl(
                "-n", NAMESPACE, "patch", "lease", LEASE, "--type=merge", "-p", json.dumps(past)
            )
            wait_for(lambda: controllers.state() == wanted, log)
            wait_for(lambda: controllers.holder() == "", log)
