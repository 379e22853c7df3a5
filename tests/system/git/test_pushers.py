"""Many runs push to one repository at the same moment: all land, and nothing is forced."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

from reconciler.adapters.clock import SystemClock
from reconciler.engine.patience import Patience
from reconciler.engine.publishing import Published, publish
from reconciler.model.store import Write
from tests.fakes.reporter import FakeReporter
from tests.integration.git.conftest import WHEN, Executed, MakeStore
from tests.rig.servers.sshd import Sshd

TOGETHER = 60
ON_ONE_BRANCH = 5
LONG = 280.0
"""Seconds: nobody gives up because the machine is busy."""


def _pushes(executed: Executed) -> list[list[str]]:
    return [argv for argv in executed() if "push" in argv]


def _git(server: Sshd, *arguments: str) -> list[str]:
    command = ["git", "-C", str(server.path("manifests")), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _publish_together(
    make_store: MakeStore, branches: list[str], reporter: FakeReporter
) -> list[Published]:
    """One process each, as far as Git sees it; all push once all have their commit."""
    ready = Barrier(len(branches))
    stores = [make_store(deadline=LONG) for _ in branches]

    def work(number: int) -> Published:
        store, branch = stores[number], branches[number]
        text = f"Run {number}\n\nBackstay-Run: {number}\n"

        def put_on(tip: str | None) -> str:
            files = [Write(f"shop/configmap/{number}.yaml", b"a: 1\n" * 100)]
            return store.commit(branch, tip, files, text, when=WHEN)

        commit = put_on(None)
        ready.wait(LONG)
        return publish(
            store, branch, commit, put_on=put_on, recorded=lambda _: None, check=lambda: None,
            patience=Patience(
                what=f"pushing {branch}", clock=SystemClock(), reporter=reporter,
                deadline=datetime.now(UTC) + timedelta(seconds=LONG),
            ),
            reporter=reporter,
        )  # fmt: skip

    with ThreadPoolExecutor(len(branches)) as pool:
        return list(pool.map(work, range(len(branches))))


def test_sixty_runs_push_at_once_with_one_push_each(
    server: Sshd, make_store: MakeStore, executed: Executed
) -> None:
    branches = [f"clusters/prod/policy-{number:02}" for number in range(TOGETHER)]
    reporter = FakeReporter()
    published = _publish_together(make_store, branches, reporter)
    tips = [
        commit
        for branch in branches
        for commit in _git(server, "rev-parse", f"refs/heads/{branch}")
    ]
    assert tips == [found.commit for found in published]
    assert reporter.of("push rejected, committing on top") == []
    pushes = _pushes(executed)
    assert len(pushes) == TOGETHER + len(reporter.of("trying again"))
    assert not any(word.startswith(("--force", "-f", "+")) for argv in pushes for word in argv)
    assert _git(server, "fsck", "--connectivity-only") == []


def test_runs_that_push_one_branch_at_once_stand_on_each_other(
    server: Sshd, make_store: MakeStore, executed: Executed
) -> None:
    branch = "clusters/prod/_cluster"
    reporter = FakeReporter()
    published = _publish_together(make_store, [branch] * ON_ONE_BRANCH, reporter)
    chain = _git(server, "rev-list", f"refs/heads/{branch}")
    assert sorted(chain) == sorted(found.commit for found in published)
    files = _git(server, "ls-tree", "-r", "--name-only", f"refs/heads/{branch}")
    assert files == [f"shop/configmap/{number}.yaml" for number in range(ON_ONE_BRANCH)]
    pushes = _pushes(executed)
    assert not any(word.startswith(("--force", "-f", "+")) for argv in pushes for word in argv)
    # Each but one was late at least once.
    assert len(reporter.of("push rejected, committing on top")) >= ON_ONE_BRANCH - 1
