"""From a run whose Git server went away to a history that is proven: real Git, sshd and restic.

What each step says and refuses is asked of fakes (tests/unit/cli/test_deliver.py); here it is shown
that the parts fit: restic gives back the very bytes that git wrote, whoever is killed or comes
twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.capture import fingerprints
from reconciler.cli.deliver import Delivering, Tools
from reconciler.cli.main import run as backstay
from reconciler.engine.bundling import NotPushed, waiting_in
from reconciler.engine.run import execute_run
from reconciler.model.run import Outcome
from tests.fakes.keyring import MASTER
from tests.rig import cheapkeys
from tests.rig.servers.sshd import Sshd
from tests.system.engine.test_canaries import RealSecrets
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, Crash, RunWorld, manifest

PASSWORD = fingerprints.repository_password(MASTER.encode(), CLUSTER, "_cluster")
LONG = 300.0
"""Seconds that a thread waits for another one: only a test that fails ever does."""


class Watched(GitManifestStore):
    """Tells right before and after it pushes the policy's branch."""

    before: Callable[[], object] = staticmethod(lambda: None)
    after: Callable[[], object] = staticmethod(lambda: None)

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        if BRANCH in tips:
            self.before()
        super().push(tips)
        if BRANCH in tips:
            self.after()


class Installation:
    """A world, an sshd and a restic repository."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        self.folder = folder
        self.server = server
        self.opened: list[Watched] = []
        self.world = RunWorld()
        self.world.make_store = self.store
        self.keyring = RealSecrets(self.world.storage, CLUSTER)
        self.keyring.folder = folder
        self.world.keyring = self.keyring

    def store(self) -> Watched:
        """The manifest store, as a new process opens it."""
        self.opened.append(
            Watched(
                self.server.url("manifests"),
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=parse_credentials(self.server.secret(), "Secret git"),
                workdir=self.folder / f"work{len(self.opened)}",
            )
        )
        return self.opened[-1]

    def run_without_server(self, number: int) -> None:
        """A run that has done all of its work when the server goes away."""
        store, now = self.store(), self.world.clock.now()
        store.before = self.server.stop
        self.world.cluster.put(manifest("ConfigMap", f"new-{number}", data={"a": str(number)}))
        request = replace(self.world.request(number), deadline=now + timedelta(seconds=20))
        late = execute_run(replace(request, started=now), self.world.ports(store=store))
        self.server.start()
        assert isinstance(late.error, NotPushed)

    def deliver(self, store: Watched | None = None) -> int:
        """`backstay deliver --yes -o json` once it knows its cluster; its exit code."""
        tools = Tools(
            store=store or self.store(), keyring=self.keyring, reporter=self.world.log,
            clock=self.world.clock,
        )  # fmt: skip
        delivering = Delivering(
            tools, self.world.config.cluster, self.world.cluster.identity(), "json"
        )
        return delivering.deliver("", only_plan=False, yes=True)

    def waiting(self) -> list[str]:
        """Runs that wait, as restic lists them."""
        url = f"s3:https://s3.example.org/backups/{CLUSTER}/_cluster"
        access = self.keyring.access(
            name="main", secret="restic-main", namespace="_cluster", url=url
        )
        return [one.run_id for one in waiting_in(self.keyring.backend(access), CLUSTER)]

    def runs(self) -> list[str]:
        """Runs on the branch, newest first."""
        return [commit.trailers["Backstay-Run"] for commit in self.store().log(BRANCH)]

    def is_proven(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As an auditor sees it, in a clone."""
        clone = str(self.server.path("manifests"))
        code = backstay(["verify", "shop", "--no-repositories", "--clone", clone])
        told = capsys.readouterr()
        assert code == 0, told


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Installation]:
    """One run is on the branch, one waits in restic."""
    with Sshd(tmp_path / "sshd") as server:
        server.create("manifests")
        installation = Installation(tmp_path, server)
        assert installation.world.run().record.outcome is Outcome.COMPLETED
        cheapkeys.cheapen(tmp_path / "restic", PASSWORD)
        installation.run_without_server(2)
        assert installation.waiting() == [RUN_IDS[1]]
        yield installation
        for store in installation.opened:
            store.close()


def test_from_an_outage_to_a_history_that_is_proven_by_way_of_two_deaths(
    made: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    made.run_without_server(3)

    def killed() -> None:
        raise Crash

    for when, there in (("before", RUN_IDS[:1]), ("after", RUN_IDS[:3])):
        store = made.store()
        setattr(store, when, killed)
        with pytest.raises(Crash):
            made.deliver(store)
        assert made.waiting() == [RUN_IDS[1], RUN_IDS[2]], "nobody has marked them"
        assert made.runs() == list(reversed(there))
    tip = made.store().tip(BRANCH)
    assert made.deliver() == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["delivered"], told["kept"]) == ([RUN_IDS[1], RUN_IDS[2]], {})
    store = made.store()
    assert store.tip(BRANCH) == tip, "what was there is only marked"
    assert made.waiting() == []
    assert {f"shop/configmap/new-{number}.yaml" for number in (2, 3)} <= set(store.tree(str(tip)))
    made.is_proven(capsys)
    assert made.deliver() == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == []


def test_two_at_once_deliver_once(made: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    ready, pushed = threading.Event(), threading.Event()
    first, second = made.store(), made.store()
    # Both have looked and made their commits when the first one pushes; then the second one does.
    first.before, first.after = lambda: ready.wait(LONG), pushed.set

    def wait_for_first() -> None:
        ready.set()
        assert pushed.wait(LONG)

    second.before = wait_for_first
    with ThreadPoolExecutor(2) as threads:
        codes = [threads.submit(made.deliver, store) for store in (first, second)]
        assert [code.result(LONG) for code in codes] == [0, 0]
    assert made.runs() == [RUN_IDS[1], RUN_IDS[0]]
    assert made.waiting() == []
    made.is_proven(capsys)
