"""Names and fields of the repository and the cluster: one line each, and only text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.model.objects import Gap
from reconciler.model.run import Outcome, VolumeRecord
from reconciler.model.store import Commit
from reconciler.plan.blame import Origin, Version
from reconciler.plan.diff import Field, FieldChange, Kind, ObjectChange
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.plan.verify import Check, Verdict, Verification
from reconciler.report import blame, diff, history, objectlog
from reconciler.report import verify as report
from tests.unit.capture.records import FULL

BAD = "a\x1b[2J\u202e\n::error::x\r::error::y"
NOW = datetime(2026, 11, 20, 1, tzinfo=UTC)
COMMIT = Commit(sha="a" * 40, subject="", time=NOW, parents=(), trailers={})
POINT = RecoveryPoint(
    run_id=BAD,
    commit=COMMIT.sha,
    started=NOW,
    outcome=Outcome.COMPLETED,
)
VERSION = Version(COMMIT, BAD, NOW, "a", "b")
CHANGE = ObjectChange(
    path=BAD,
    namespace="",
    folder="role",
    name=BAD,
    kind=Kind.CHANGED,
    note=BAD,
    fields=(
        FieldChange(path=(BAD, "x"), kind=Kind.CHANGED, old=1, new=BAD),
        FieldChange(path=(BAD, "y"), kind=Kind.REORDERED, old=[BAD], new=["b", BAD]),
        FieldChange(path=(BAD, "z"), kind=Kind.ADDED, new={BAD: BAD}),
    ),
)
SIDE = diff.Side(name=BAD, time=BAD, gaps=(BAD,), notes=(BAD,))


def blamed() -> Iterator[str]:
    origin = Origin(Field((BAD, "x"), BAD, ""), VERSION)
    return blame.text_lines(BAD, POINT, [origin])


def recorded() -> str:
    gap = Gap(group=BAD, namespace=BAD, reason=BAD)
    parts = [
        replace(part, name=BAD, reasons=(BAD,), volumes=tuple(_named(part.volumes)))
        for part in FULL.namespaces
    ]
    made = replace(FULL, name=BAD, gaps=(gap,), warnings=(BAD,), namespaces=tuple(parts))
    return history.render_run(made, BAD) + "".join(history.left_out_lines(made))


def _named(volumes: Iterable[VolumeRecord]) -> Iterator[VolumeRecord]:
    return (replace(volume, claim=BAD, reason=BAD) for volume in volumes)


def verified() -> Iterator[str]:
    check = Check(name=BAD, verdict=Verdict.PROBLEM, message=BAD, problems=(BAD,))
    found = Verification(cluster=BAD, at=NOW, where=BAD, writer=BAD, branches=(), checks=(check,))
    return report.text_lines(found)


TEXTS: dict[str, Callable[[], Iterable[str]]] = {
    "diff": lambda: diff.text_lines(SIDE, SIDE, [CHANGE]),
    "markdown": lambda: diff.markdown_lines(SIDE, SIDE, [CHANGE]),
    "blame": blamed,
    "log": lambda: history.render_log([POINT]),
    "log --object": lambda: objectlog.text_lines(BAD, [(VERSION, CHANGE)]),
    "show run": recorded,
    "show run OBJECT": lambda: history.manifest_lines(b"\ta: \x1b[2J\xff\n"),
    "verify": verified,
}


@pytest.mark.parametrize("what", TEXTS)
def test_what_a_terminal_or_ci_would_obey_is_only_text(what: str) -> None:
    text = "".join(TEXTS[what]())
    assert not set(text) & {"\x1b", "\u202e", "\r"}, text
    assert [line for line in text.splitlines() if line.lstrip().startswith("::")] == []
