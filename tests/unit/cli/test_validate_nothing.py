"""`validate` where there is nothing to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import main
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP


def test_a_folder_without_policies_is_not_called_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["validate", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "there is no *.yaml or *.yml file" in said.err


@pytest.mark.parametrize("text", ["", "# later\n", "---\n---\n"])
def test_files_without_a_document_are_nothing_to_check(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.yaml").write_text(text)
    for path in (tmp_path, tmp_path / "shop.yaml"):
        assert main.run(["validate", str(path), "-o", "json"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert f"there is no document, such as a policy, in {path}" in said.err
    (tmp_path / "main.yaml").write_text(MAIN)
    assert main.run(["validate", str(tmp_path)]) == 0


def test_grants_that_were_not_held_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.yaml").write_text(f"{MAIN}---\n{SHOP}")
    assert main.run(["validate", "."]) == 0
    said = capsys.readouterr()
    assert said.out.endswith(": valid\n")
    assert said.err == (
        "note: no Config was given, so grants were not held: give it with --config\n"
    )
    (tmp_path / "backstay.yaml").write_text(CONFIG + "sharedKeyInTenants: true\n")
    assert main.run(["validate", "."]) == 0
    assert capsys.readouterr().err == (
        "note: grants were not held: give backstay.yaml with --config\n"
    )
    assert main.run(["validate", ".", "--config", "backstay.yaml"]) == 0
    assert capsys.readouterr().err == ""
    assert main.run(["validate", "backstay.yaml"]) == 0
    assert capsys.readouterr().err == ""
