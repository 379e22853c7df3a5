"""What a run is given by hand, wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import main


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"formatVersion": 1}', '{"formatVersion": 1, "policy": 7}']
)
def test_a_broken_compiled_policy_is_one_error_and_no_traceback(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "policy.json"
    broken.write_text(text)
    assert main.run(["run", "shop", "--compiled", str(broken)]) == 2
    said = capsys.readouterr().err
    assert "as a compiled policy" in said
    assert "Traceback" not in said


def test_a_job_whose_config_map_was_removed_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["run", "shop", "--compiled", str(tmp_path / "policy.json")]) == 2
    said = capsys.readouterr().err
    assert "this Job is of a version of policy shop whose ConfigMap was removed" in said
    assert "48 h after its last use" in said
