"""docs/status.md says what each reason means, and names every field."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.plan.mirrorevents import EventReason
from reconciler.plan.mirrorfacts import REQUESTED_AT
from reconciler.plan.mirrorstatus import Reason
from reconciler.policy.statuslanguage import BackupPolicyStatus

PAGE = (Path(__file__).parents[3] / "docs/status.md").read_text()


def rows(title: str) -> set[str]:
    """First cells of the table below a heading."""
    part = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", part, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_reason_of_a_condition_is_explained_and_no_other() -> None:
    assert rows("Conditions") == set(Reason)


def test_every_reason_of_an_event_is_explained_and_no_other() -> None:
    assert rows("Events") == set(EventReason)


def test_every_field_is_explained_and_no_other() -> None:
    fields = {str(field.alias) for field in BackupPolicyStatus.model_fields.values()}
    assert rows("Fields") >= fields
    assert rows("Fields") - fields == set()


def test_the_annotation_is_the_one_that_is_read() -> None:
    assert f'{REQUESTED_AT}="$asked"' in PAGE
