"""Which fields a run redacted, as a person sees them: the first in the record, all when asked."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.run import RedactedValue, RunRecord
from reconciler.report.history import redacted_lines, render_run
from tests.unit.capture.records import FULL, SMALLEST

COMMIT = "3f0a9c1d" * 5
BAD = "a\x1b[2J\r\n::error::b"


def record(count: int) -> RunRecord:
    found = tuple(
        RedactedValue(object=f"shop/configmap/m{n // 2}.yaml", field=f"data.p{n}", rule="env")
        for n in range(count)
    )
    return replace(SMALLEST, redacted=found)


def test_the_record_tells_object_field_and_rule() -> None:
    text = render_run(FULL, COMMIT)
    field = "spec.template.spec.containers[web].env[TOKEN].value"
    assert f"Redacted 1 field of 1 object\n  shop/deployment.apps/web.yaml {field} (env)\n" in text
    assert "Redacted" not in render_run(SMALLEST, COMMIT)


def test_of_many_the_first_stand_there_and_where_the_rest_is() -> None:
    lines = render_run(record(1000), COMMIT).splitlines()
    assert "Redacted 1000 fields of 500 objects" in lines
    assert len([line for line in lines if line.endswith("(env)")]) == 20
    assert f"  and 980 more: backstay show run {SMALLEST.name} --redacted" in lines
    assert " more:" not in render_run(record(20), COMMIT)


def test_all_are_a_table() -> None:
    lines = list(redacted_lines(record(1000)))
    assert lines[0].split() == ["OBJECT", "FIELD", "RULE"]
    assert lines[1].split() == ["shop/configmap/m0.yaml", "data.p0", "env"]
    assert len(lines) == 1001
    assert list(redacted_lines(SMALLEST)) == ["nothing was redacted outside Secrets\n"]


def test_no_name_is_obeyed_by_a_terminal() -> None:
    found = replace(SMALLEST, redacted=(RedactedValue(object=BAD, field=BAD, rule=BAD),))
    for text in (render_run(found, COMMIT), "".join(redacted_lines(found))):
        assert not set(text) & {"\x1b", "\r"}
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
