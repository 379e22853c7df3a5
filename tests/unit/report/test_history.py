"""What `log` and `show` print: golden, because people read them and scripts do too."""

from __future__ import annotations

import json

from reconciler.capture.message import summarise
from reconciler.model.run import RunRecord
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report.history import log_document, render_log, render_run
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
