"""Bad days of the policies' Git server, as the installed controller meets them in its pod.

It is a server of the tests' own, so that runs still reach theirs: they need no policies from Git.
What else such a server does is tried on fakes and without a cluster; here it is that a pod, its
mounted Secret, and what `kubectl` shows go together.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.run import Outcome
from tests.rig.servers.sshd import Sshd
from tests.rig.stage import Stage
from tests.rig.stage.health import page
from tests.rig.stage.runs import Run, run_again
from tests.rig.stage.stage import NAMESPACE, POLICIES

LONG = 600.0
"""Seconds to wait for what comes, on a machine with much to do."""
CONFIG, SECRET = "backstay-config", "backstay-policy-git"


class Policies:
    """The policies of the stage on a server that nobody else uses."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        address = stage.cluster.host_address
        # Bound all the time, it keeps the port from others while the server is stopped; it never
        # listens, so that a client is refused then.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind((address, 0))
        port = self._port.getsockname()[1]
        self.server = Sshd(folder / "sshd", address=address, port=port, tied=True)
        self._keys = folder / "keys"
        self._here = False

    def move_here(self) -> None:
        """Copies them, and lets the controller read them here."""
        self.server.start()
        place = self.server.path(POLICIES)
        place.parent.mkdir(parents=True)
        origin = self.stage.sshd.path(POLICIES)
        self.stage.git("clone", "--quiet", "--bare", str(origin), str(place))
        self.give_keys()
        self._use(self.server.url(POLICIES))
        self._here = True

    def move_back(self) -> None:
        """As the stage was; the controller reads there again when this returns."""
        self.server.stop()
        self._port.close()
        if self._here:
            self.wait_for("SourceFailed")
        self.stage.make_secret(SECRET, self.stage.folder / "credentials" / "git")
        self._use(self.stage.sshd.url(POLICIES))
        self.wait_for_peace()

    def give_keys(self) -> None:
        """Puts the keys that the server knows now into the Secret."""
        self._keys.mkdir(mode=0o700, exist_ok=True)
        for name, data in self.server.secret().items():
            (self._keys / name).write_bytes(data)
        self.stage.make_secret(SECRET, self._keys)
        self._hurry()

    def renew(self, key: str) -> None:
        """The server, and whom it lets in, with another key."""
        self.server.stop()
        for name in (key, f"{key}.pub"):
            (self.server.folder / name).unlink()
        self.server.start()

    def status(self) -> Any:
        """What the cluster shows of the policy."""
        (found,) = self.stage.objects("-n", NAMESPACE, "backuppolicy", "shop")
        return found["status"]

    def trouble(self) -> dict[str, Any]:
        """The condition that speaks of the source; empty while it works."""
        found = [one for one in self.status()["conditions"] if one["reason"] == "SourceFailed"]
        return found[0] if found else {}

    def wait_for(self, text: str) -> dict[str, Any]:
        """Until the trouble has these words."""
        found: dict[str, Any] = self.stage.wait(
            text,
            lambda: self.trouble() if text in json.dumps(self.trouble()) else None,
            seconds=LONG,
        )
        return found

    def wait_for_peace(self) -> None:
        """Until the source works."""
        self.stage.wait("the source works", lambda: not self.trouble(), seconds=LONG)
        ready = [one["status"] for one in self.status()["conditions"] if one["type"] == "Ready"]
        assert ready == ["True"]

    def pod(self) -> dict[str, Any]:
        """The controller's pod."""
        labels = "backstay.dev/component=controller"
        pods = self.stage.objects("-n", NAMESPACE, "pods", "-l", labels)
        (found,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return found

    def _use(self, url: str) -> None:
        (found,) = self.stage.objects("-n", NAMESPACE, "configmap", CONFIG)
        config = yaml.safe_load(found["data"]["backstay.yaml"])
        config["policySource"]["url"] = url
        data = {"data": {"backstay.yaml": yaml.safe_dump(config, sort_keys=False)}}
        patch = ("--type=merge", "-p", json.dumps(data))
        self.stage.kubectl("-n", NAMESPACE, "patch", "configmap", CONFIG, *patch)
        self._hurry()

    def _hurry(self) -> None:
        """A kubelet looks at a changed pod at once, and at its mounts: else after a minute."""
        name, version = self.pod()["metadata"]["name"], self.pod()["metadata"]["resourceVersion"]
        note = f"example.org/looked-at={version}"
        self.stage.kubectl("-n", NAMESPACE, "annotate", "--overwrite", "pod", name, note)


@pytest.fixture(scope="module")
def policies(
    stage: Stage, first: Run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Policies]:
    """Return the policies on a server of their own; the controller reads them there."""
    assert first.record.outcome is Outcome.COMPLETED
    policies = Policies(stage, tmp_path_factory.mktemp("policies"))
    try:
        policies.move_here()
        yield policies
    finally:
        policies.move_back()


def test_runs_go_on_while_git_is_gone_and_the_status_says_since_when(policies: Policies) -> None:
    policies.wait_for_peace()
    policies.server.stop()
    told = policies.wait_for("could not be reached or broke off")
    assert (told["type"], told["status"]) == ("Reconciling", "True")
    assert policies.server.url(POLICIES) in told["message"]
    ready = "it is ready all the same"
    policies.stage.wait(ready, lambda: page(policies.stage, "readyz") == "ok\n", seconds=LONG)
    done = run_again(policies.stage)
    assert done.record.outcome is Outcome.COMPLETED
    policies.stage.wait(
        "the run is shown",
        lambda: (policies.status().get("lastRun") or {}).get("name") == done.record.name,
        seconds=LONG,
    )
    now = policies.trouble()
    assert now["lastTransitionTime"] == told["lastTransitionTime"]
    assert "nextRun" in policies.status()
    policies.server.start()
    policies.wait_for_peace()


def test_a_key_that_was_revoked_is_renewed_in_the_secret_and_nothing_is_restarted(
    policies: Policies,
) -> None:
    before = policies.pod()
    where = f"Secret {NAMESPACE}/{SECRET}"
    policies.renew("client_key")
    told = policies.wait_for("the server refused the SSH key")
    assert told["type"] == "Stalled"
    assert f"`identity` of {where}" in told["message"]
    policies.give_keys()
    policies.wait_for_peace()
    policies.renew("host_key")
    told = policies.wait_for("host key is not among the known ones")
    assert f"known_hosts of {where}" in told["message"]
    policies.give_keys()
    policies.wait_for_peace()
    after = policies.pod()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [c["restartCount"] for c in after["status"]["containerStatuses"]] == [
        c["restartCount"] for c in before["status"]["containerStatuses"]
    ]
