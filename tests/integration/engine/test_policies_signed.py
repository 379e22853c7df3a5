"""A revision that nobody allowed has signed changes nothing in the cluster, and says who signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitsignature import parse_signers
from reconciler.adapters.gitsource import GitPolicySource
from reconciler.model.errors import Stalled
from tests.rig.policyrepo import PolicyRepository
from tests.rig.signing import Signer
from tests.unit.engine.controller_world import ControllerWorld, files


@pytest.mark.parametrize("how", ["not signed", "signed by another"])
def test_the_schedules_of_the_last_good_revision_stay(tmp_path: Path, how: str) -> None:
    ann, eve = Signer(tmp_path, "ann"), Signer(tmp_path, "eve")
    repository = PolicyRepository(tmp_path / "policies.git")
    world = ControllerWorld()
    with GitPolicySource(
        repository.url,
        ref="main",
        path="policies",
        credentials=GitCredentials(),
        workdir=tmp_path / "work",
        allow_local=True,
        signers=parse_signers({"allowed_signers": ann.line()}, "Secret signers"),
    ) as source:
        ann.push(repository, files("shop", "mail"))
        assert world.cycle(source=source).error is None
        before = world.cluster.all("CronJob")
        assert len(before) == 2
        evil = files("mail", "evil")
        if how == "not signed":
            repository.push(evil)
        else:
            eve.push(repository, evil)
        for _ in range(2):
            cycle = world.cycle(source=source)
            assert isinstance(cycle.error, Stalled)
            assert cycle.failed_step == "fetch"
            assert world.cluster.all("CronJob") == before
        expected = "not signed" if how == "not signed" else eve.fingerprint
        assert all(expected in str(told) for told in world.log.of("cycle failed"))
        assert world.log.of("cycle failed")
        ann.push(repository, files("shop", "mail", "wiki"))
        assert world.cycle(source=source).error is None
        assert set(world.names("CronJob")) == {
            *("backstay-shop", "backstay-mail", "backstay-wiki"),
        }
