"""A profile that breaks or goes: its policies stay at their last good version, and say why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.plan import Action, Desired, Plan
from reconciler.policy import parse_files
from tests.unit.plan.schedules_world import CONFIG, SmallCluster
from tests.unit.policy.test_profiles import SMALL
from tests.unit.policy.yamltexts import GOLD, MAIN, SHOP

ALLOWED = replace(CONFIG, shared_key_in_tenants=True)
OTHER = SHOP.replace("name: shop", "name: other")


def desired(gold: str) -> Desired:
    """A revision with this profile, a policy that names it and one that does not."""
    files = {"gold.yaml": gold, "main.yaml": MAIN, "shop.yaml": SMALL, "z.yaml": OTHER}
    parsed = parse_files({name: text.encode() for name, text in files.items()}, ALLOWED)
    return Desired(parsed, parsed.problems)


@pytest.fixture
def cluster() -> SmallCluster:
    found = SmallCluster(config=ALLOWED)
    found.apply(found.plan(desired(GOLD)))
    return found


def reason(plan: Plan, policy: str) -> str:
    (change,) = [c for c in plan.changes if (c.policy, c.object.kind) == (policy, "CronJob")]
    assert change.action is Action.SKIPPED
    return change.reason


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        (
            GOLD.replace("keepDaily: 30", "keepDaly: 30"),
            "its Profile gold has a problem, gold.yaml:7; its last good version",
        ),
        (
            GOLD.replace("name: gold", "name: golden"),
            "shop.yaml:5:12: Profile `gold` does not exist; its last good version",
        ),
        ("", "shop.yaml:5:12: Profile `gold` does not exist; its last good version"),
        (
            GOLD.replace("17 4 * * *", "17 4 * *"),
            "its Profile gold has a problem, gold.yaml:5; its last good version",
        ),
        (
            GOLD.replace('{cron: "17 4 * * *", ', "{"),
            "shop.yaml:5:12: required field `cron` is missing in schedule, from Profile gold",
        ),
    ],
)
def test_its_policies_stay_as_they_were(cluster: SmallCluster, gold: str, why: str) -> None:
    before = dict(cluster.of("CronJob"))
    plan = cluster.apply(cluster.plan(desired(gold)))
    assert reason(plan, "shop").startswith(why)
    assert plan.problems
    assert cluster.of("CronJob") == before
    assert not cluster.deleted


def test_a_changed_profile_changes_its_policies_and_no_other(cluster: SmallCluster) -> None:
    plan = cluster.plan(desired(GOLD.replace("30", "31")))
    changed = {change.policy for change in plan.pending}
    assert changed == {"shop"}
    (cron_job,) = [c for c in plan.pending if c.object.kind == "CronJob"]
    assert cron_job.fields == ("retention.keepDaily: 30 → 31",)


def test_a_field_that_moves_from_the_profile_to_the_policy_changes_nothing(
    cluster: SmallCluster,
) -> None:
    zone = '{cron: "17 4 * * *", timeZone: Europe/Berlin}'
    files = {
        "gold.yaml": GOLD.replace(f"  schedule: {zone}\n", ""),
        "main.yaml": MAIN,
        "shop.yaml": f"{SMALL}  schedule: {zone}\n",
        "z.yaml": OTHER,
    }
    parsed = parse_files({name: text.encode() for name, text in files.items()}, ALLOWED)
    assert cluster.plan(Desired(parsed, parsed.problems)).empty
