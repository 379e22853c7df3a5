"""``backstay deliver`` from what it finds to what it says and its exit code, over the fakes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.cli.deliver import Delivering, Tools, command
from reconciler.engine.clusterbranch import open_cluster_branch, remember_repositories
from reconciler.engine.context import cluster_branch
from reconciler.model.errors import ForeignCluster, Refused, Transient, UsageError
from reconciler.model.run import RepositoryEntry
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, RunWorld
from tests.unit.engine.test_bundles import URL, Away, away

OLD = "s3:https://old.example.org/backups/prod-eu/_cluster"


def _waiting_world() -> RunWorld:
    """One good run, and one that waits."""
    world = RunWorld()
    world.run()
    away(world, 2)
    return world


def _deliver(
    world: RunWorld,
    output: str = "text",
    *,
    policy: str = "",
    only_plan: bool = False,
    yes: bool = True,
    store: FakeManifestStore | None = None,
) -> int:
    tools = Tools(
        store=store or FakeManifestStore(world.remote),
        keyring=world.keyring,
        reporter=world.log,
        clock=world.clock,
    )
    delivering = Delivering(tools, world.config.cluster, world.cluster.identity(), output)
    return delivering.deliver(policy, only_plan=only_plan, yes=yes)


def _add_old_repository(world: RunWorld) -> None:
    """The cluster's branch knows one more repository, whose Secret is gone."""
    store, identity = FakeManifestStore(world.remote), world.cluster.identity()
    branch = open_cluster_branch(store, CLUSTER, identity)
    (entry,) = [one for one in branch.entries if one.namespace == "_cluster"]
    old: RepositoryEntry = replace(entry, repository="old", url=OLD, id="0" * 64, secret="gone")
    remember_repositories(store, CLUSTER, identity, [old], run_id=RUN_IDS[3], now=world.clock.now())


def test_the_plan_lists_what_waits_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = _waiting_world()
    before = dict(world.remote.heads)
    assert _deliver(world, only_plan=True, yes=False) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"shop: 1 waiting in {URL}\n  {RUN_IDS[1]}  began 2026-11-21T02:17:03Z")
    assert world.remote.heads == before


def test_it_delivers_and_the_second_time_nothing_waits(capsys: pytest.CaptureFixture[str]) -> None:
    world = _waiting_world()
    assert _deliver(world, policy="shop") == 0
    assert f"{RUN_IDS[1]}: on its branch\n" in capsys.readouterr().out
    tip = world.remote.heads[BRANCH]
    assert RUN_IDS[1] in world.remote.commits[tip].message
    assert _deliver(world, policy="shop") == 0
    assert capsys.readouterr().out == "No run of shop waits.\n"
    assert world.remote.heads[BRANCH] == tip


def test_json_says_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    world = _waiting_world()
    assert _deliver(world, "json") == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["waiting"]
    assert (one["run"], one["policy"], one["repository"]) == (RUN_IDS[1], "shop", URL)
    assert (told["delivered"], told["kept"], told["unasked"]) == ([RUN_IDS[1]], {}, {})


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_repository_that_can_not_be_opened_is_told_and_the_rest_delivered(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = _waiting_world()
    _add_old_repository(world)
    assert _deliver(world, output) == 3
    told = capsys.readouterr().out
    why = "Secret backstay-system/gone does not exist"
    if output == "json":
        found = json.loads(told)
        assert found["unasked"] == {OLD: why}
        assert found["delivered"] == [RUN_IDS[1]]
    else:
        assert f"{OLD}: what waits there is not known: {why}\n" in told
        assert f"{RUN_IDS[1]}: on its branch\n" in told
    assert RUN_IDS[1] in world.remote.commits[world.remote.heads[BRANCH]].message
    # Nothing else waits, and that is not known of the old one.
    assert _deliver(world, output) == 3
    assert "No run" not in capsys.readouterr().out


def test_what_can_not_be_delivered_is_told_and_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    world = _waiting_world()
    held = world.repository("_cluster")
    held.snapshots = [
        replace(found, tags=(*found.tags[:2], f"run:{RUN_IDS[4]}")) if "bundle" in found.tags
        else found
        for found in held.snapshots
    ]  # fmt: skip
    assert _deliver(world) == 3
    assert (
        f"{RUN_IDS[4]}: not delivered, it goes on waiting: it holds run {RUN_IDS[1]} of policy shop"
    ) in capsys.readouterr().out


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    world = _waiting_world()
    with pytest.raises(UsageError, match="nobody can answer") as caught:
        _deliver(world, "json", yes=False)
    assert "--yes" in caught.value.hint


def _second_policy(world: RunWorld) -> str:
    """The run that waits, once more as a bundle of the policy ``blog``; its run id."""
    held = world.repository("_cluster")
    (bundle,) = [found for found in held.snapshots if "bundle" in found.tags]
    run_id = RUN_IDS[1].replace("shop", "blog")
    tags = ("bundle", "policy:blog", f"run:{run_id}")
    held.snapshots = [*held.snapshots, replace(bundle, id="b" * 64, tags=tags)]
    return run_id


def test_a_remote_that_stays_away_is_told_and_all_goes_on_waiting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = _waiting_world()
    began: datetime = world.clock.now()
    assert _deliver(world, store=Away(world.remote)) == 3
    assert f"{RUN_IDS[1]}: not delivered, it goes on waiting: connection refused; look at the" in (
        capsys.readouterr().out
    )
    assert (world.clock.now() - began).total_seconds() >= 120
    assert _deliver(world) == 0


class _Unasked(FakeManifestStore):
    """A remote that is away before the first branch is looked at; counts who asks."""

    asked = 0

    def tip(self, branch: str) -> str | None:
        """As the port says."""
        if branch == cluster_branch(CLUSTER):
            return super().tip(branch)
        type(self).asked += 1
        raise Transient("connection refused")


def test_who_finds_the_remote_away_does_not_wait_for_each_policy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = _waiting_world()
    _second_policy(world)
    _Unasked.asked = 0
    assert _deliver(world, "json", store=_Unasked(world.remote)) == 3
    blog, shop = json.loads(capsys.readouterr().out)["policies"]
    assert blog["error"] == "connection refused"
    assert shop["error"] == "not tried, the manifest store is away: connection refused"
    assert _Unasked.asked == 2, "once for each: no push, and no patience with it"


class _Passing(FakeManifestStore):
    """A server that breaks off at the branch of ``blog``, for a reason that may pass."""

    def tip(self, branch: str) -> str | None:
        """As the port says."""
        if branch.endswith("/blog"):
            raise Transient("internal server error")
        return super().tip(branch)


def test_what_may_pass_of_one_branch_is_in_no_other_policys_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One branch's failure does not say that the server is away: the next one is asked for."""
    world = _waiting_world()
    _second_policy(world)
    assert _deliver(world, "json", store=_Passing(world.remote)) == 3
    blog, shop = json.loads(capsys.readouterr().out)["policies"]
    assert (blog["error"], blog["delivered"]) == ("internal server error", [])
    assert (shop["error"], shop["delivered"]) == ("", [RUN_IDS[1]])
    assert RUN_IDS[1] in world.remote.commits[world.remote.heads[BRANCH]].message


class _NotThis(FakeManifestStore):
    """A server with a rule against the branch of ``blog``."""

    def tip(self, branch: str) -> str | None:
        """As the port says."""
        if branch.endswith("/blog"):
            raise Refused("the server does not take this branch", hint="ask for its rules")
        return super().tip(branch)


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_branch_that_is_refused_is_in_no_other_policys_way(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = _waiting_world()
    refused = _second_policy(world)
    why = "the server does not take this branch; ask for its rules"
    assert _deliver(world, output, store=_NotThis(world.remote)) == 3
    told = capsys.readouterr().out
    if output == "text":
        assert f"{refused}: not delivered, it goes on waiting: {why}\n" in told
        assert f"{RUN_IDS[1]}: on its branch\n" in told
    else:
        blog, shop = json.loads(told)["policies"]
        assert (blog["policy"], blog["error"], blog["kept"]) == ("blog", why, {refused: why})
        assert (shop["policy"], shop["error"], shop["kept"]) == ("shop", "", {})
        assert shop["delivered"] == [RUN_IDS[1]]
    assert RUN_IDS[1] in world.remote.commits[world.remote.heads[BRANCH]].message


def test_another_cluster_delivers_nothing() -> None:
    world = _waiting_world()
    before = dict(world.remote.heads)
    tools = Tools(
        store=FakeManifestStore(world.remote), keyring=world.keyring, reporter=world.log,
        clock=world.clock,
    )  # fmt: skip
    other = replace(world.cluster.identity(), uid="another")
    with pytest.raises(ForeignCluster):
        Delivering(tools, world.config.cluster, other, "text").deliver(
            "", only_plan=False, yes=True
        )
    assert world.remote.heads == before
    assert cluster_branch(CLUSTER) in before


def test_without_config_it_is_wrong_usage(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    result = CliRunner().invoke(command, ["--config", missing, "--plan"], standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert missing in result.exception.message
