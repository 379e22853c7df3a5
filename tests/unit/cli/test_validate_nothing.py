"""`validate` where there is nothing to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import main


def test_a_folder_without_policies_is_not_called_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["validate", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "there is no *.yaml or *.yml file" in said.err
