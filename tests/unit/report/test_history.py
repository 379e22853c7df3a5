"""What `log` and `show` print: golden, because people read them and scripts do too."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.capture.message import summarise
from reconciler.model.run import RunRecord
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report.history import left_out_lines, log_document, render_log, render_run
from tests.conftest import Golden
from tests.unit.capture.records import FULL, SMALLEST

COMMIT = "3f0a9c1d" * 5


def point(record: RunRecord) -> RecoveryPoint:
    found = summarise(record)
    return RecoveryPoint(
        run_id=found.run_id,
        commit=COMMIT,
        started=found.started,
        outcome=found.outcome,
        revision=found.revision,
        objects=found.objects,
        volumes_stored=found.volumes_stored,
        volumes_wanted=found.volumes_wanted,
        volumes_added=found.volumes_added,
    )


def test_log_in_text(golden: Golden) -> None:
    golden("report/log.txt", render_log([point(FULL), point(SMALLEST)]))
    assert render_log([]) == "no runs\n"


def test_log_in_json(golden: Golden) -> None:
    document = log_document("shop", [point(FULL), point(SMALLEST)])
    golden("report/log.json", json.dumps(document, indent=2) + "\n")


def test_a_record_in_text(golden: Golden) -> None:
    golden("report/run.txt", render_run(FULL, COMMIT))
    golden("report/run-smallest.txt", render_run(SMALLEST, COMMIT))


def test_what_was_left_out(golden: Golden) -> None:
    golden("report/run-left-out.txt", "".join(left_out_lines(FULL)))
    assert "".join(left_out_lines(SMALLEST)) == "nothing was left out\n"
    assert FULL.cluster_scoped is not None
    older = replace(FULL.cluster_scoped, selection="", left_out=(), unselected=())
    (*_, last) = left_out_lines(replace(FULL, cluster_scoped=older, left_out_kinds=()))
    assert last.startswith("of what is cluster-scoped, only what a namespace needs")
