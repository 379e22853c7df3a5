"""Bad days of the policies' Git server, with the controller's own wiring; its cluster is a fake.

Each day is the same: it breaks, cycles go by, somebody mends it at the place that the status names,
and the controller goes on by itself, with what was pushed meanwhile.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.cli.installation import Installation
from reconciler.engine.controller import Cycle
from reconciler.model.errors import Refused, Transient
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.githttps import GitHttps, basic
from tests.rig.servers.httpsauthority import Authority
from tests.rig.servers.sshd import Sshd
from tests.unit.engine.controller_world import NAMESPACE, files
from tests.unit.engine.mirror_world import MirrorWorld

SECRET = "backstay-policy-git"
NAMED = f"Secret {NAMESPACE}/{SECRET}"
MARKER = "hunter2-tr0ub4dor"
CONFIG = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {{name: prod-eu}}
policySource: {{url: "{url}", path: policies, secretRef: {{name: {secret}}}}}
manifestStore: {{url: "ssh://git@git.example.org/captures.git"}}
image: backstay:1
sharedKeyInTenants: true
"""
Data = dict[str, bytes]


@dataclass(slots=True)
class Days:
    """A controller that is never started anew, and the Secret with its keys."""

    world: MirrorWorld
    home: Installation
    policies: PolicyRepository
    names: list[str] = field(default_factory=list)
    runs: int = 0

    def put_secret(self, data: Mapping[str, bytes]) -> None:
        """As somebody with kubectl does it."""
        shown = {key: base64.b64encode(value).decode() for key, value in data.items()}
        metadata = {"name": SECRET, "namespace": NAMESPACE}
        self.world.cluster.put(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": shown}
        )

    def push(self, name: str) -> None:
        """One policy more."""
        self.names.append(name)
        self.policies.push(files(*self.names))

    def cycle(self) -> Cycle:
        """A minute later."""
        self.world.clock.sleep(60)
        return self.world.cycle(source=self.home.setting(reporter=self.world.log).source)

    def good(self) -> None:
        """A cycle that ends well, with all that was pushed."""
        assert self.cycle().error is None
        assert self.world.names("CronJob") == sorted(f"backstay-{name}" for name in self.names)
        for name in self.names:
            assert self.world.conditions(name) == {"Ready": ("True", "Applied")}

    def bad(self, kind: type[Exception], says: str, hint: str) -> None:
        """Cycles that fail, a run between them; nothing is lost, and it is said since when."""
        world, condition = self.world, "Stalled" if kind is Refused else "Reconciling"
        since = ""
        for _ in range(2):
            ended = self.cycle()
            assert isinstance(ended.error, kind), ended.error
            assert says in ended.error.message
            assert hint in ended.error.hint
            (told,) = [c for c in world.status()["conditions"] if c["type"] == condition]
            assert (told["status"], told["reason"]) == ("True", "SourceFailed")
            assert says in told["message"]
            assert hint in told["message"]
            assert datetime.fromisoformat(world.status()["nextRun"]) > world.clock.now()
            since = since or told["lastTransitionTime"]
            assert told["lastTransitionTime"] == world.log.of("cycle failed")[-1]["since"] == since
            assert world.cron_job("shop")
            self.runs += 1
            world.run(self.runs)
        world.written()
        assert self.cycle().error is not None
        assert world.written() == ["update BackupPolicy/shop"], "the newest run, and nothing else"
        assert world.status()["lastRun"]["outcome"] == "Completed"
        assert self.cycle().error is not None
        assert world.written() == []
        assert MARKER not in str(world.log.lines) + str(world.cluster.all("BackupPolicy"))


MakeDays = Callable[[str, Path], Days]


@pytest.fixture
def make_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDays]:
    """Makes a controller for the repository at a URL, which lies in a folder."""
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    opened: list[Installation] = []

    def make(url: str, path: Path) -> Days:
        config = tmp_path / "backstay.yaml"
        config.write_text(CONFIG.format(url=url, secret=SECRET))
        world, home = MirrorWorld(), Installation(config, None, None)
        opened.append(home)
        home.connect = lambda: cast("KubeClient", world.cluster)
        return Days(world, home, PolicyRepository(path))

    yield make
    for home in opened:
        home.__exit__()


def test_bad_days_of_a_server_over_https(tmp_path: Path, make_days: MakeDays) -> None:
    with GitHttps(tmp_path / "web", authorization=basic("ann", MARKER)) as server:
        days = make_days(server.create("policies"), server.path("policies"))
        good = {"username": b"ann", "password": MARKER.encode(), "ca.crt": server.certificate}
        days.put_secret(good)
        days.push("shop")
        days.good()

        server.authorization = basic("ann", f"{MARKER}-renewed")
        days.push("credentials-revoked")
        days.bad(Refused, "the server refused the credentials", f"bearerToken, in {NAMED}")
        good["password"] = f"{MARKER}-renewed".encode()
        days.put_secret(good)
        days.good()

        server.authorization = f"Bearer {MARKER}-token"
        days.push("password-no-more")
        days.bad(Refused, "the server refused the credentials", f"bearerToken, in {NAMED}")
        good = {"bearerToken": f"{MARKER}-token".encode(), "ca.crt": server.certificate}
        days.put_secret(good)
        days.good()

        server.renew(days=-1)
        days.push("certificate-expired")
        days.bad(Refused, "certificate is not trusted", "may have expired")
        server.renew()
        days.good()

        days.put_secret(good | {"ca.crt": Authority().certificate})
        days.push("wrong-authority")
        days.bad(Refused, "certificate is not trusted", f"ca.crt of {NAMED}")
        days.put_secret(good)
        days.good()

        server.renew(host="git.example.org")
        days.push("another-host")
        days.bad(Refused, "certificate is for another host", "into the URL")
        server.renew()
        days.good()


def test_bad_days_of_a_server_over_ssh(tmp_path: Path, make_days: MakeDays) -> None:
    with Sshd(tmp_path / "sshd") as server:
        server.create("policies")
        days = make_days(server.url("policies"), server.path("policies"))
        days.put_secret(server.secret())
        days.push("shop")
        days.good()

        server.stop()
        days.push("gone")
        days.bad(Transient, "could not be reached", "check the server and the network")
        server.start()
        days.good()

        renew(server, "client_key")
        days.push("key-revoked")
        days.bad(Refused, "the server refused the SSH key", f"`identity` of {NAMED}")
        days.put_secret(server.secret())
        days.good()

        renew(server, "host_key")
        days.push("another-host-key")
        days.bad(Refused, "host key is not among the known ones", f"known_hosts of {NAMED}")
        days.put_secret(server.secret())
        days.good()


def renew(server: Sshd, key: str) -> None:
    """Makes the server, and those it lets in, anew with another key; it keeps its port."""
    server.stop()
    for name in (key, f"{key}.pub"):
        (server.folder / name).unlink()
    server.start()
