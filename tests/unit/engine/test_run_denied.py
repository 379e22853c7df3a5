"""Files that a mover without root may not read: whoever meets that is told the way on."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from reconciler.report.history import render_run
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.run_world import manifest

WAY_ON = "kubectl annotate namespace shop backstay.dev/privileged-movers=true"
ERROR = "/data/files/a/f3: open /data/files/a/f3: permission denied"


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation whose application keeps a file to itself."""
    world = DoctorWorld()

    def move(task: MoveTask) -> MoveResult:
        made = world.move(task)
        return MoveResult(
            state=MoveState.PARTIALLY_FAILED,
            snapshot=made.snapshot,
            errors=(ERROR,),
            error_count=1,
            exit_code=3,
            message="1 file or attribute failed",
        )

    world.mover._effect = move
    return world


def test_the_record_the_run_and_the_doctor_tell_of_root(world: DoctorWorld) -> None:
    result = world.run(2)
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    (part,) = result.record.namespaces
    (denied, way_on) = part.reasons
    assert denied.endswith(ERROR)
    assert WAY_ON in way_on
    assert render_run(result.record, result.commit).count(WAY_ON) == 1
    (last,) = (one for one in world.doctor().findings if one.id == "policies/last-run")
    assert WAY_ON in last.message


def test_where_root_did_not_help_it_is_not_told_again(world: DoctorWorld) -> None:
    def allow(raw: dict[str, Any]) -> None:
        raw["metadata"]["annotations"] = {"backstay.dev/privileged-movers": "true"}

    world.cluster.edit(manifest("Namespace", "shop", ""), allow)
    (part,) = world.run(2).record.namespaces
    assert len(part.reasons) == 1
    assert "privileged-movers" not in part.reasons[0]
