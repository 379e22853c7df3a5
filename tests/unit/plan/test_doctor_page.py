"""docs/doctor.md shows the table of checks as it is, and Config's of a pod is a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.model.doctor import Finding, Level
from reconciler.plan.doctor import CHECKS, IDS, in_order, with_silence
from tests.unit.engine.doctor_world import is_known

PAGE = Path(__file__).resolve().parents[3] / "docs" / "doctor.md"
_BEGIN = "tests/unit/plan/test_doctor_page.py writes this table -->\n"
_END = "<!-- /checks -->"


def table() -> str:
    """As the page has it."""
    lines = ["| id | what is asked | at worst |", "|---|---|---|"]
    lines += [f"| `{check.id}` | {check.asks} | {check.worst} |" for check in CHECKS]
    return "\n".join(lines) + "\n"


def test_the_page_shows_the_table(request: pytest.FixtureRequest) -> None:
    head, begin, rest = PAGE.read_text().partition(_BEGIN)
    shown, end, tail = rest.partition(_END)
    assert begin
    assert end
    if request.config.getoption("--update-golden"):
        PAGE.write_text(head + begin + table() + end + tail)
        return
    assert shown == table()


def test_every_level_is_explained() -> None:
    text = PAGE.read_text()
    for level in Level:
        assert f"| `{level}` |" in text


def test_the_job_of_the_page_is_a_job_of_a_runs_account() -> None:
    block = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    job = yaml.safe_load(block)
    pod = job["spec"]["template"]["spec"]
    assert (job["kind"], pod["serviceAccountName"]) == ("Job", "backstay-run")
    assert pod["containers"][0]["args"][0] == "doctor"
    # Labelled as ours it would be taken for a run.
    assert "labels" not in job["metadata"]


def test_ids_are_known_with_the_rights_below_them() -> None:
    assert is_known("rights/run/list")
    assert is_known("rights/run/create/jobs.batch")
    assert not is_known("rights/nobody/list")
    assert not is_known("leftovers/mover/x")
    assert not is_known("leftovers")


def test_findings_stand_in_the_order_of_the_table() -> None:
    names = ["leftovers/mover", "rights/run/create/jobs.batch", "cluster/api", "rights/controller"]
    found = in_order(Finding(id=name, level=Level.OK, message="") for name in names)
    assert [one.id for one in found] == [names[2], names[3], names[1], names[0]]


def test_a_check_that_found_nothing_says_so() -> None:
    one = Finding(id="leftovers/mover", level=Level.WARNING, message="there")
    found = with_silence(("leftovers/mover", "leftovers/lease"), (one,))
    assert [(f.id, f.level) for f in found] == [
        ("leftovers/mover", Level.WARNING),
        ("leftovers/lease", Level.OK),
    ]
    assert set(IDS) == {check.id for check in CHECKS}
