"""A schedule that is one folder's is not another's for as long as anything hides its document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.plan import Desired, Plan
from reconciler.policy import parse_files
from reconciler.policy.parsing import Caps
from tests.unit.plan.schedules_world import SmallCluster
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP, config

GRANTS = """\
sharedKeyInTenants: true
grants:
  - {path: admin, admin: true}
  - {path: teams/a, namespaces: [evil]}
  - {path: teams/shop, namespaces: [shop]}
"""
ALLOWED = config(CONFIG + GRANTS)
OWN = {"admin/main.yaml": MAIN, "teams/shop/shop.yaml": SHOP}
EVIL = {"teams/a/a.yaml": SHOP.replace("[shop]", "[evil]")}
MANY = {f"teams/a/b{number}.yaml": "{}\n---\n" * 9 + "{}\n" for number in range(3)}
CAPS = Caps(documents=20)


def wanted(files: dict[str, str]) -> Desired:
    parsed = parse_files({name: text.encode() for name, text in files.items()}, ALLOWED, caps=CAPS)
    return Desired(parsed, parsed.problems)


def in_force() -> SmallCluster:
    cluster = SmallCluster(config=replace(ALLOWED, image="backstay"))
    cluster.apply(cluster.plan(wanted(OWN)))
    return cluster


def told(plan: Plan) -> tuple[str, str]:
    (found,) = (c for c in plan.changes if c.object.name == "backstay-shop")
    return str(found.action), found.reason


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(OWN | EVIL | MANY, id="its file is not read"),
        pytest.param(OWN | EVIL | {"teams/shop/shop.yaml": "kind: [\n"}, id="its name is not read"),
    ],
)
def test_the_schedule_of_a_document_that_is_not_seen_is_taken_by_nobody(
    files: dict[str, str],
) -> None:
    cluster = in_force()
    before = cluster.of("CronJob")["backstay-shop"]
    plan = cluster.apply(cluster.plan(wanted(files)))
    action, why = told(plan)
    assert action == "skipped"
    assert "is of teams/shop/shop.yaml#0, which has another grant than teams/a/a.yaml" in why
    assert cluster.of("CronJob")["backstay-shop"] == before
    assert cluster.plan(wanted(files)).empty


def test_a_whole_revision_gives_the_name_to_another_folder() -> None:
    cluster = in_force()
    plan = cluster.apply(cluster.plan(wanted({"admin/main.yaml": MAIN} | EVIL)))
    assert told(plan)[0] == "configured"
    source = cluster.of("CronJob")["backstay-shop"]["metadata"]["annotations"]
    assert source["backstay.dev/source"] == "teams/a/a.yaml#0"


def test_a_move_within_a_grant_waits_for_nobody() -> None:
    cluster = in_force()
    moved = {"admin/main.yaml": MAIN, "teams/shop/x/shop.yaml": SHOP, "teams/a/b.yaml": "{}"}
    assert told(cluster.apply(cluster.plan(wanted(moved))))[0] == "configured"
