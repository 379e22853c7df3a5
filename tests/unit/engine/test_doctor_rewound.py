"""The doctor names branches that a run has found rewound, until somebody has seen to them."""

from __future__ import annotations

import pytest

from reconciler.engine.doctorrewound import CHECK, ask_rewound
from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.plan.doctor import in_order
from reconciler.plan.rewinds import Rewind, render_rewinds
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.run_world import BRANCH, HOME

LOST = Rewind(expected="a" * 40, at="2026-11-21T03:17:03Z", run="shop-1")
SHOP = naming.tip_lease_name("shop")


def lose(world: DoctorWorld, lease: str, branch: str) -> None:
    """As a run writes it beside the tip."""
    (raw,) = (one for one in world.cluster.all("Lease") if one["metadata"]["name"] == lease)
    text = render_rewinds(branch, (LOST,))
    world.cluster.edit(
        raw, lambda one: one["metadata"]["annotations"].update({naming.REWOUND: text})
    )


def both_lost() -> DoctorWorld:
    """The policy's branch and the cluster's, whose tip the second run remembers."""
    world = DoctorWorld()
    world.run(2)
    lose(world, SHOP, BRANCH)
    lose(world, naming.CLUSTER_TIP_LEASE, HOME)
    return world


def asked(world: DoctorWorld, policy: str = "") -> list[Finding]:
    facts = world.facts(policy)
    facts.found_cluster = facts.found_server = world.cluster
    world.cluster.requests.clear()
    found = list(ask_rewound(facts))
    assert world.cluster.requests == {"pages": 1}
    assert all(one.id == CHECK for one in found)
    return found


def test_nothing_was_found_to_be_lost() -> None:
    (found,) = asked(DoctorWorld())
    assert found.level is Level.OK


def test_a_lost_tip_is_a_problem_with_what_to_do_next() -> None:
    world = both_lost()
    home, shop = asked(world)
    assert shop.level is home.level is Level.PROBLEM
    assert shop.where == f"branch {BRANCH}"
    assert "its tip was commit aaaa" in shop.message
    assert shop.hint.endswith("backstay adopt --rewritten shop --tip COMMIT")
    assert home.where == f"branch {HOME}"
    assert home.hint.endswith("annotate lease/backstay-cluster-tip backstay.dev/rewound-")
    assert in_order(found for found in world.doctor().findings if found.id == CHECK)


@pytest.mark.parametrize(("policy", "count"), [("shop", 2), ("other", 1)])
def test_of_one_policy_its_branch_and_the_clusters(policy: str, count: int) -> None:
    world = both_lost()
    assert len(asked(world, policy)) == count
