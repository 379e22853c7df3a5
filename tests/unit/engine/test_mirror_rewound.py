"""A branch that a run has found rewound stalls its policy's object until somebody has seen to it.

Nothing more is asked of the API server for that: Leases are listed in each cycle anyway.
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.store import render_revision
from reconciler.plan.rewinds import COMPONENT_STATE, Rewind, render_rewinds
from tests.fakes.faults import FaultyReader
from tests.fakes.watched import Killed, Life, Watched
from tests.unit.engine.controller_world import BROKEN, NAMESPACE, files
from tests.unit.engine.mirror_world import MirrorWorld

LOST = Rewind(expected="a" * 40, found="b" * 40, at="2026-11-21T03:17:03Z", run="shop-1")
AGAIN = Rewind(expected="c" * 40, found="b" * 40, at="2026-11-21T04:00:00Z", run="shop-2")
REWOUND = ("True", "BranchRewound")
APPLIED = ("True", "Applied")


def put_tip(world: MirrorWorld, *rewinds: Rewind, policy: str = "shop") -> None:
    """What a run has left in the Lease of the policy's tip."""
    branch = f"clusters/prod-eu/{policy}"
    annotations = {naming.TIP: render_revision(branch, "d" * 40)}
    if rewinds:
        annotations[naming.REWOUND] = render_rewinds(branch, rewinds)
    world.cluster.put(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": naming.tip_lease_name(policy),
                "namespace": NAMESPACE,
                "labels": naming.labels(COMPONENT_STATE),
                "annotations": annotations,
            },
        }
    )
    world.cluster.writes.clear()


@pytest.fixture
def world() -> MirrorWorld:
    """Two policies in force, and the tips of both remembered."""
    made = MirrorWorld()
    made.source.push(files("shop", "mail"))
    made.cycle()
    put_tip(made)
    put_tip(made, policy="mail")
    made.cycle()
    made.cluster.writes.clear()
    return made


def told(world: MirrorWorld) -> list[str]:
    return [reason for _, reason in world.events() if reason in ("BranchRewound", "Recovered")]


def test_it_stalls_the_policy_and_its_schedule_stays_in_force(world: MirrorWorld) -> None:
    put_tip(world, LOST)
    before = world.cron_job("shop")["spec"]
    assert world.cycle().exit_code == 0
    assert world.conditions() == {"Ready": APPLIED, "Stalled": REWOUND}
    message = world.message("Stalled")
    assert "clusters/prod-eu/shop was rewound or replaced: its tip was commit aaaa" in message
    assert f"backstay verify shop --contains {'a' * 40}" in message
    assert "backstay adopt --rewritten shop --tip COMMIT" in message
    assert ("Warning", "BranchRewound") in world.events()
    assert world.conditions("mail") == {"Ready": APPLIED}
    assert world.cron_job("shop")["spec"] == before
    assert "nextRun" in world.status()


def test_it_is_said_once_and_costs_no_request(world: MirrorWorld) -> None:
    world.cluster.requests.clear()
    world.cycle()
    calm = world.cluster.requests.copy()
    put_tip(world, LOST)
    world.cycle()
    world.cluster.writes.clear()
    for _ in range(3):
        world.clock.sleep(60)
        world.cluster.requests.clear()
        world.cycle()
        assert world.cluster.requests == calm == {"get": 1, "pages": 7}
    assert world.cluster.writes == []
    assert told(world) == ["BranchRewound"]


def test_one_more_loss_is_said_again(world: MirrorWorld) -> None:
    put_tip(world, LOST)
    world.cycle()
    put_tip(world, LOST, AGAIN)
    world.cycle()
    assert told(world) == ["BranchRewound"] * 2
    assert "and 1 times more since" in world.message("Stalled")


def test_mended_or_accepted_it_has_recovered(world: MirrorWorld) -> None:
    put_tip(world, LOST)
    world.cycle()
    put_tip(world)
    world.cycle()
    assert world.conditions() == {"Ready": APPLIED}
    assert told(world) == ["BranchRewound", "Recovered"]


@pytest.mark.parametrize("error", [Refused("no right to list"), Transient("slow")])
def test_who_can_not_read_the_leases_leaves_what_is_said(
    world: MirrorWorld, error: BackstayError
) -> None:
    put_tip(world, LOST)
    world.cycle()
    put_tip(world)
    stood = world.status()["conditions"]
    faulty = FaultyReader(world.cluster, lambda kind, _: kind is kinds.LEASES, error=error)
    world.cycle(reader=faulty)
    assert world.status()["conditions"] == stood
    assert world.log.of("open hooks not looked for")
    world.cycle()
    assert world.conditions() == {"Ready": APPLIED}


def test_a_broken_document_shows_beside_it(world: MirrorWorld) -> None:
    put_tip(world, LOST)
    world.cycle()
    world.source.push(files("mail", shop=BROKEN))
    world.cycle()
    invalid = ("False", "InvalidPolicy")
    assert world.conditions() == {"Ready": invalid, "Stalled": REWOUND}
    assert ("Warning", "InvalidPolicy") in world.events()
    world.cycle()
    put_tip(world)
    world.cycle()
    assert world.conditions() == {"Ready": invalid, "Stalled": ("True", "InvalidPolicy")}
    assert world.events().count(("Warning", "InvalidPolicy")) == 1
    assert told(world) == ["BranchRewound"], "it has not recovered yet"
    world.source.push(files("shop", "mail"))
    world.cycle()
    assert told(world) == ["BranchRewound", "Recovered"]


@pytest.mark.parametrize("error", [Transient("git is away"), Refused("the key was refused")])
def test_a_cycle_that_fails_shows_it_too_and_takes_it_away(
    world: MirrorWorld, error: Exception
) -> None:
    class Away:
        def fetch(self, last: str | None) -> Any:
            del last
            raise error

    put_tip(world, LOST)
    world.cycle(source=Away())
    assert world.conditions()["Stalled"] == REWOUND
    assert world.conditions()["Ready"] == APPLIED
    waits = isinstance(error, Transient)
    assert ("Reconciling" in world.conditions()) == waits
    world.cluster.writes.clear()
    world.cycle(source=Away())
    assert world.cluster.writes == []
    put_tip(world)
    world.cycle(source=Away())
    assert world.conditions()["Reconciling" if waits else "Stalled"] == ("True", "SourceFailed")
    assert world.conditions()["Ready"] == APPLIED
    world.cycle()
    assert world.conditions() == {"Ready": APPLIED}


def test_i11_killed_at_any_call_the_next_one_says_it_and_once() -> None:
    moment = 0
    while True:
        made = MirrorWorld()
        made.source.push(files("shop"))
        made.cycle()
        put_tip(made, LOST)
        cluster = Watched(made.cluster, Life(moment))
        try:
            made.cycle(reader=cluster, writer=cluster)
        except Killed:
            moment += 1
        else:
            break
        made.clock.sleep(60)
        made.cycle()
        assert made.conditions() == {"Ready": APPLIED, "Stalled": REWOUND}
        assert told(made) == ["BranchRewound"]
    assert moment > 10, "that many calls"


@pytest.mark.parametrize("text", ["nonsense", "{}", "[" * 3000])
def test_nonsense_in_a_lease_is_no_alarm_and_stops_nothing(world: MirrorWorld, text: str) -> None:
    (lease, *_) = (
        one
        for one in world.cluster.all("Lease")
        if one["metadata"]["name"] == naming.tip_lease_name("shop")
    )
    world.cluster.edit(
        lease, lambda raw: raw["metadata"]["annotations"].update({naming.REWOUND: text})
    )
    assert world.cycle().exit_code == 0
    assert world.conditions() == {"Ready": APPLIED}
