"""A brake and the word that lifts it, with a real repository."""

from __future__ import annotations

from pathlib import Path

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitsource import GitPolicySource
from tests.rig.policyrepo import PolicyRepository
from tests.unit.engine.controller_world import ControllerWorld, files

NAMES = ("a", "b", "c", "d")


def test_a_rewritten_history_needs_a_commits_word(tmp_path: Path) -> None:
    world = ControllerWorld()
    repository = PolicyRepository(tmp_path / "policies.git")
    source = GitPolicySource(
        repository.url,
        ref="main",
        path="policies",
        credentials=GitCredentials(),
        workdir=tmp_path / "work",
        allow_local=True,
    )
    with source:
        repository.push(files(*NAMES))
        assert world.cycle(source=source).error is None
        repository.push(files("a"), rewrite=True)
        plan = world.cycle(source=source).plan
        assert plan is not None
        assert plan.brakes[0].startswith("history was rewritten")
        assert len(world.names("CronJob")) == 4
        repository.message = f"Remove three\n\nBackstay-Approve: {plan.approval}"
        repository.push(files("a"))
        world.cycle(source=source)
        assert world.names("CronJob") == ["backstay-a"]
