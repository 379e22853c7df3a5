"""A Git server that goes away before a run can push: waited for, and everything said in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.engine.bundling import NotPushed
from reconciler.engine.run import execute_run
from reconciler.model.run import Outcome
from tests.rig.servers.sshd import Sshd
from tests.unit.engine.run_world import BRANCH, RUN_IDS, RunWorld


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd with an empty repository ``manifests``."""
    with Sshd(tmp_path / "sshd") as running:
        running.create("manifests")
        yield running


@pytest.fixture
def store(server: Sshd, tmp_path: Path) -> Iterator[Callable[[], Watched]]:
    """Makes stores of that repository, as a new process does."""
    opened: list[Watched] = []

    def make() -> Watched:
        opened.append(
            Watched(
                server.url("manifests"),
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=parse_credentials(server.secret(), "Secret git"),
                workdir=tmp_path / f"work{len(opened)}",
            )
        )
        return opened[-1]

    yield make
    for found in opened:
        found.close()


class Watched(GitManifestStore):
    """Tells right before it pushes the policy's branch."""

    before_push: Callable[[], object] = staticmethod(lambda: None)

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        if BRANCH in tips:
            self.before_push()
        super().push(tips)


def test_a_remote_that_goes_away_for_good_before_the_push(
    server: Sshd, store: Callable[[], Watched]
) -> None:
    world = RunWorld()
    world.make_store = store
    first = world.run()
    used = store()
    used.before_push = server.stop
    now = world.clock.now()
    request = replace(world.request(2), started=now, deadline=now + timedelta(seconds=20))
    late = execute_run(request, world.ports(store=used))
    server.start()
    assert isinstance(late.error, NotPushed)
    assert late.commit == ""
    assert world.mover.leftovers("shop") == ()
    assert store().tip(BRANCH) == first.commit
    result = world.run(3)
    assert result.record.outcome is Outcome.COMPLETED
    assert result.record.warnings == ()
    runs = [commit.trailers["Backstay-Run"] for commit in store().log(BRANCH)]
    assert runs == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]


def test_a_remote_that_comes_back_gets_the_run(server: Sshd, store: Callable[[], Watched]) -> None:
    world = RunWorld()
    world.make_store = store
    world.run()
    used = store()
    looks: list[float] = []

    def away() -> None:
        looks.append(world.clock.slept)
        if len(looks) == 1:
            server.stop()
        if len(looks) == 4:
            server.start()

    used.before_push = away
    result = world.run(2, store=used)
    assert result.record.outcome is Outcome.COMPLETED
    assert store().tip(BRANCH) == result.commit
    assert len(world.log.of("trying again")) == 3
