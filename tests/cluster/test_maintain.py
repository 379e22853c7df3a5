"""Maintenance's plan of what real runs stored: every snapshot is known, and nothing is touched."""

from __future__ import annotations

import json

import pytest

from tests.rig.stage import Stage
from tests.rig.stage.runs import run_again


@pytest.mark.usefixtures("first")
def test_a_dry_run_knows_the_snapshots_of_a_real_run_and_keeps_them(stage: Stage) -> None:
    again = run_again(stage)
    said = stage.backstay("maintain", "main", "--dry-run", "-o", "json", check=False)
    # Other modules push to this branch as outsiders do: that may hold everything.
    assert said.returncode in (0, 3), said.stderr
    found = json.loads(said.stdout)
    lines = {line["id"]: line for place in found["repositories"] for line in place["snapshots"]}
    assert all(line["reasons"] for line in lines.values())
    wanted = {volume.snapshot for volume in again.volumes().values() if volume.snapshot}
    secrets = again.record.secrets
    assert secrets is not None
    for snapshot in {*wanted, secrets.snapshot}:
        assert lines[snapshot]["action"] == "keep"
        assert lines[snapshot]["runs"] == [again.record.name]
    assert wanted
