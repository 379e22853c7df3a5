"""What a run starts, process by process: how many, and with nothing secret in what they are told.

Nothing is sampled: every process of the three programs reported itself before it began.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

import pytest

from reconciler.model.run import Outcome
from tests.rig.gate import Call, Gate
from tests.rig.stage import Stage, faults, searching
from tests.rig.stage.runs import Run

MOVERS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """One good run, held once at its push: its processes, its movers', and the controller's."""

    run: list[Call]
    movers: list[Call]
    others: list[Call]


@pytest.fixture(scope="module")
def told(gated_stage: Stage, gate: Gate) -> Told:
    """Return every process of one good run and its movers."""
    gate.forget()
    before = Run(gated_stage).commit
    with gate.held("git", "push") as hold:
        started = faults.start_run(gated_stage)
        pushing = hold.wait(400)
        assert pushing.host.startswith(started.job)
        while_held = pushing.code
        assert Run(gated_stage).commit == before, "it is held, but its commit is there"
    assert started.finish().code == 0
    assert (while_held, pushing.code) == (None, 0)
    after = Run(gated_stage)
    assert after.record.outcome is Outcome.COMPLETED
    assert after.history()[1] == before
    movers = {call.host for call in gate.calls("backstay", "mover")}
    calls = gate.calls()
    run = [call for call in calls if call.host.startswith(started.job)]
    copied = [call for call in calls if call.host in movers]
    return Told(run, copied, [call for call in calls if call not in run + copied])


def test_each_pod_is_one_backstay(told: Told) -> None:
    (run,) = [call for call in told.run if call.program == "backstay"]
    assert (run.code, run.argv[1:3]) == (0, ("run", "shop"))
    movers = [call for call in told.movers if call.program == "backstay"]
    assert len(movers) == len({call.host for call in movers}) == MOVERS
    assert [call.code for call in movers] == [0] * MOVERS
    # Process 1 is there for what git leaves behind, in pods of all kinds.
    assert all(call.parent.startswith("tini -- backstay ") for call in [run, *movers])


def test_the_number_of_processes_stays_small(told: Told) -> None:
    # Each is some milliseconds of a pod with little CPU, and most are a round trip to a server.
    by_program = Counter(call.program for call in told.run)
    assert by_program["git"] <= 30, [call.argv for call in told.run]
    assert by_program["restic"] <= 12, [call.argv for call in told.run]
    assert len([call for call in told.run if call.has("push")]) == 1
    assert len([call for call in told.run if call.has("backup")]) == 1  # the Secrets
    by_pod = Counter(call.host for call in told.movers if call.program == "restic")
    assert max(by_pod.values()) <= 3  # version, is the repository there, backup
    assert [call.code for call in told.run + told.movers if call.code != 0] == []


def test_no_command_line_or_name_holds_a_secret(
    gated_stage: Stage, told: Told, marker: str
) -> None:
    folder = gated_stage.folder / "credentials" / "restic-main"
    secrets = {path.name: path.read_bytes() for path in folder.iterdir()}
    secrets["the application's password"] = marker.encode()
    said = {
        f"{call.program} in {call.host}": os.fsencode(
            "\n".join([*call.argv, *call.names, call.parent])
        )
        for call in told.run + told.movers + told.others
    }
    assert searching.find(secrets, said) == []
    keyless = [call for call in told.run if call.program == "git"]
    assert not any("RESTIC_PASSWORD" in call.names for call in keyless)
