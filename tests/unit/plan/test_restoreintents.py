"""What a Restore in Git is said to do, and that nothing does it yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.restoreintent import (
    ExistingPolicy,
    Restore,
    RestoreSource,
    RestoreVolumes,
)
from reconciler.model.run import Outcome
from reconciler.plan.change import plan_change
from reconciler.plan.restoreintents import command, describe, restore_findings, restore_notes
from tests.unit.plan import change_world
from tests.unit.policy.yamltexts import HEAD

SOURCE = RestoreSource(policy="shop", at="2026-11-21T03:00:00Z")
RESTORE = Restore(
    name="after-42",
    cluster="prod",
    source=SOURCE,
    namespaces=("shop", "cart"),
    map_namespaces={"shop": "shop-restored"},
)
C, P = Outcome.COMPLETED, Outcome.PARTIALLY_FAILED


def place(name: str, path: str) -> Place:
    return Place(f"restores/{name}.yaml#{path}", 3)


def point(day: int, outcome: Outcome = C) -> PointDigest:
    return PointDigest(
        policy="shop",
        run=f"shop-202611{day:02}-021700-7c1e9",
        started=datetime(2026, 11, day, 2, 17, tzinfo=UTC),
        outcome=outcome,
        namespaces={"shop": outcome, "cart": outcome},
        claims={"shop": ("data-0", "web"), "cart": ("data-1",)},
    )


KNOWN = Inventory(cluster="prod", uid="u", points=(point(19), point(20), point(21, P), point(22)))


def findings(restore: Restore, *base: Restore, known: Inventory | None = KNOWN) -> list[Finding]:
    return list(restore_findings(base, [restore], known, "prod", place))


def test_a_merged_restore_is_told_with_what_to_do_by_hand() -> None:
    other = replace(RESTORE, name="other", cluster="dev")
    (note,) = restore_notes([other, RESTORE], "prod")
    assert note == (
        "Restore after-42 is not executed by this version: merged, it does nothing; by hand:"
        " backstay restore shop --at 2026-11-21T03:00:00Z --namespace shop --namespace cart"
        " --map-namespace shop=shop-restored"
    )


@pytest.mark.parametrize(
    "restore",
    [
        replace(RESTORE, match_labels={"a": "b"}),
        replace(RESTORE, claims=("data-*",)),
        replace(RESTORE, paths=("etc",)),
        replace(RESTORE, volumes=RestoreVolumes.IN_PLACE),
        replace(RESTORE, volumes=RestoreVolumes.SKIP),
        replace(RESTORE, existing=ExistingPolicy.UPDATE),
        replace(RESTORE, source=replace(SOURCE, cluster="old-prod")),
    ],
)
def test_no_command_is_named_that_would_do_something_else(restore: Restore) -> None:
    assert command(restore) == ""
    assert restore_notes([restore], "prod")[0].endswith(
        "no command does all of what it asks for yet"
    )


def test_the_plan_says_which_recovery_point_and_what_it_would_do() -> None:
    (found,) = findings(RESTORE)
    assert (found.id, found.severity) == ("restore-not-executed", Severity.WARNING)
    assert found.details == (
        "recovery point shop-20261120-021700-7c1e9, begun 2026-11-20T02:17:00Z, Completed",
        "data of cart/data-1, shop/data-0, shop/web",
        "from policy shop at 2026-11-21T03:00:00Z, in cluster prod: shop as shop-restored, cart",
        "data goes into claims that it creates, never into one that exists",
        "objects that exist stay as they are",
    )
    assert found.hint.startswith("by hand: backstay restore shop ")
    assert found.place == place("after-42", "")


def test_everything_that_a_restore_can_ask_for() -> None:
    full = replace(
        RESTORE,
        namespaces=(),
        match_labels={"b": "2", "a": "1"},
        claims=("data-*",),
        paths=("etc/app.conf",),
        volumes=RestoreVolumes.IN_PLACE,
        existing=ExistingPolicy.UPDATE,
    )
    assert describe(full) == (
        (
            "from policy shop at 2026-11-21T03:00:00Z, in cluster prod:"
            " every namespace of the recovery point, shop as shop-restored"
        ),
        "only objects with a=1, b=2",
        "only data of claims data-*",
        "only these files: etc/app.conf",
        "data replaces that of claims that exist, whose users are scaled to 0 and back",
        "objects that exist are changed to what was captured",
    )
    assert "data of cart/data-1, shop/data-0" in findings(full)[0].details


def test_no_recovery_point_is_an_error() -> None:
    early = replace(RESTORE, source=replace(SOURCE, at="2026-11-01"))
    first, second = findings(early)
    assert (first.id, first.severity) == ("restore-no-point", Severity.ERROR)
    assert first.message == (
        "Restore after-42: policy shop has no recovery point at or before 2026-11-01"
    )
    assert first.place == place("after-42", "from")
    assert second.id == "restore-not-executed"


def test_a_partial_run_by_its_name_is_refused_as_on_the_command_line() -> None:
    named = replace(RESTORE, source=RestoreSource(policy="shop", run=point(21).run + ""))
    found = findings(named)
    assert [one.id for one in found] == ["restore-no-point", "restore-not-executed"]


def test_what_an_inventory_can_not_know_is_said() -> None:
    commit = replace(RESTORE, source=RestoreSource(policy="shop", commit="5b0ee6d"))
    assert "does not say which run wrote commit 5b0ee6d" in findings(commit)[0].details[0]
    other = replace(RESTORE, source=replace(SOURCE, cluster="old"))
    assert "which recovery points cluster old has" in findings(other)[0].details[0]
    more = replace(KNOWN, older_points={"shop": 7})
    early = replace(RESTORE, source=replace(SOURCE, at="2026-11-01"))
    (found,) = findings(early, known=more)
    assert found.details[0].startswith("it may be one of 7 older recovery points")
    assert findings(RESTORE, known=None)[0].details[0].startswith("from policy shop")


@pytest.mark.parametrize(
    ("run", "ids"),
    [
        ("shop-20261122-041700-7c1e9", ["restore-not-executed"]),
        ("shop-20261122-021800-7c1e9", ["restore-no-point", "restore-not-executed"]),
        ("cart-20261122-041700-7c1e9", ["restore-no-point", "restore-not-executed"]),
    ],
)
def test_a_run_that_began_after_the_inventory_may_be_there(run: str, ids: list[str]) -> None:
    known = replace(KNOWN, taken=datetime(2026, 11, 22, 3, tzinfo=UTC))
    named = replace(RESTORE, source=RestoreSource(policy="shop", run=run))
    found = findings(named, known=known)
    assert [one.id for one in found] == ids
    told = f"run {run} is newer than the inventory, which does not know it"
    assert (told in found[-1].details) is (len(ids) == 1)


@pytest.mark.parametrize("renamed_before", [True, False])
def test_a_run_under_the_former_name_of_its_policy_is_found(renamed_before: bool) -> None:
    run = point(20).run
    text = f"""{HEAD}kind: Restore
metadata: {{name: after-42}}
spec:
  cluster: prod-eu
  from: {{policy: shop2, run: {run}}}
"""
    shop = change_world.edited(shop=("{name: shop}", "{name: shop2}"))
    renamed = change_world.edited(shop, shop=("spec:\n", "spec:\n  renamedFrom: shop\n"))
    known = replace(change_world.inventory(), points=(point(19), point(20)))
    base = renamed if renamed_before else change_world.FILES
    found = change_world.plan({**renamed, "restore.yaml": text}, base, known).findings
    assert "restore-no-point" not in [one.id for one in found]
    (restore,) = (one for one in found if one.id == "restore-not-executed")
    assert restore.details[0].startswith(f"recovery point {run}, begun ")


def test_namespaces_that_the_point_does_not_hold_are_told() -> None:
    found = findings(replace(RESTORE, namespaces=("shop", "web")))[0]
    assert found.details[1] == "it does not hold web"


def test_only_what_the_change_touches_and_is_for_this_cluster_is_told() -> None:
    assert findings(RESTORE, RESTORE) == []
    assert findings(replace(RESTORE, cluster="dev")) == []
    changed = findings(RESTORE, replace(RESTORE, namespaces=()))[0]
    assert changed.details[-1].endswith("a name is for one restore: give it a new one")
    anywhere = restore_findings([], [replace(RESTORE, cluster="dev")], None, "", place)
    assert [one.facts["cluster"] for one in anywhere] == ["dev"]


def test_the_plan_of_a_change_tells_of_it_with_its_line() -> None:
    text = f"""{HEAD}kind: Restore
metadata: {{name: after-42}}
spec:
  cluster: prod-eu
  from: {{policy: shop, at: 2026-11-21}}
"""
    base = change_world.FILES
    plan = plan_change(
        change_world.revision(base),
        change_world.revision({**base, "restore.yaml": text}),
        change_world.inventory(),
        cluster="prod-eu",
        now=change_world.NOW,
    )
    (found,) = plan.findings
    assert (found.id, found.place) == ("restore-not-executed", Place("restore.yaml", 3))
    assert found.details[0].startswith("recovery point shop-1, begun ")
