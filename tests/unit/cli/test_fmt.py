"""``backstay fmt``: what it writes, prints and leaves alone."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from reconciler.cli import fmt, main
from reconciler.model.errors import Refused
from tests.unit.policy.yamltexts import HEAD, MAIN, SHOP

MESSY = SHOP.replace("spec:\n", "spec:\n  # the newest\n  suspend:  false\n")
NEAT = SHOP.replace("spec:\n", "spec:\n  # the newest\n  suspend: false\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: one file to format, one as usual, one of another tool."""
    (tmp_path / "shop.yaml").write_text(MESSY)
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "chart.yaml").write_text("{{ if .Values.x }}\na:   b\n{{ end }}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = main.run(["fmt", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_files_are_written_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys)
    assert done == (0, "shop.yaml\n", "1 formatted, 2 as usual already\n")
    assert (folder / "shop.yaml").read_text() == NEAT
    assert run(capsys) == (0, "", "0 formatted, 3 as usual already\n")


def test_check_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "--check", ".")
    assert done == (1, "shop.yaml\n", "1 would be formatted, 2 as usual already\n")
    assert (folder / "shop.yaml").read_text() == MESSY
    assert run(capsys, "--check", "main.yaml")[0] == 0


def test_diff_writes_nothing_and_masks_credentials(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "main.yaml").write_text(
        MAIN.replace("https://s3", "https://user:hunter2@s3") + "# ##[group]x\n\n\n"
    )
    code, out, err = run(capsys, "--diff")
    assert (code, err) == (1, "2 would be formatted, 1 as usual already\n")
    assert (folder / "shop.yaml").read_text() == MESSY
    lines = out.splitlines()
    assert "--- shop.yaml (old)" in lines
    assert "-  suspend:  false" in lines
    assert "+  suspend: false" in lines
    assert "hunter2" not in out
    assert "##[" not in out


def test_diff_shows_line_endings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "shop.yaml").write_bytes(NEAT.replace("\n", "\r\n").encode())
    lines = NEAT.count("\n")
    assert run(capsys, "--diff", "shop.yaml") == (
        1,
        f"--- shop.yaml (old)\n+++ shop.yaml (new)\n\\ line endings CRLF → LF: {lines} lines\n",
        "1 would be formatted, 0 as usual already\n",
    )
    (folder / "shop.yaml").write_bytes(MESSY.replace("\n", "\r\n").encode())
    code, out, _ = run(capsys, "--diff", "shop.yaml")
    assert code == 1
    assert "+  suspend: false\n" in out
    assert out.endswith(f"\n\\ line endings CRLF → LF: {lines} lines\n")
    (folder / "shop.yaml").write_text(NEAT.rstrip("\n"))
    code, out, _ = run(capsys, "--diff", "shop.yaml")
    assert (code, out.splitlines()[2:]) == (1, ["\\ the last line gets its end"])
    (folder / "shop.yaml").write_text(NEAT)
    assert run(capsys, "--diff", "shop.yaml")[:2] == (0, "")


def test_problems_are_shown_and_stop_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text(f"{HEAD}kind: Repository\nspec: [\n")
    (folder / "link.yaml").symlink_to("shop.yaml")
    code, out, err = run(capsys)
    assert (code, out) == (4, "shop.yaml\n")
    assert "a.yaml:4:1: error: not YAML" in err
    assert "link.yaml:1:1: error: a symbolic link is not followed" in err
    assert (folder / "link.yaml").is_symlink()


def test_links_to_other_things_are_no_concern(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "README.md").symlink_to("/nowhere")
    (folder / "up").symlink_to("..")
    assert run(capsys)[0] == 0


def test_mode_owner_and_neighbours_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "shop.yaml"
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12346)
    before = path.stat()
    names = sorted(folder.iterdir())
    assert run(capsys)[0] == 0
    after = path.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino  # replaced in one step, not written into
    assert sorted(folder.iterdir()) == names


def test_a_file_that_changed_meanwhile_stays(folder: Path) -> None:
    with pytest.raises(Refused, match="changed meanwhile"):
        fmt.replace_file(folder / "shop.yaml", b"as it was", b"as it will be")
    (folder / "shop.yaml").unlink()
    (folder / "shop.yaml").symlink_to("main.yaml")
    with pytest.raises(Refused, match="changed meanwhile"):
        fmt.replace_file(folder / "shop.yaml", MAIN.encode(), b"x")
    assert (folder / "main.yaml").read_text() == MAIN


def test_a_folder_that_takes_no_file_is_an_error_and_the_rest_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "team").mkdir()
    (folder / "team" / "shop.yaml").write_text(MESSY)
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.parent.name == "team":
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    code, out, err = run(capsys)
    assert (code, out) == (1, "shop.yaml\n")
    assert "error: team/shop.yaml can't be written: Permission denied\n" in err
    assert [path.name for path in (folder / "team").iterdir()] == ["shop.yaml"]


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stdin(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    stdin(MESSY)
    assert run(capsys, "-")[:2] == (0, NEAT)
    stdin(NEAT)
    assert run(capsys, "-")[:2] == (0, NEAT)
    stdin(MESSY)
    assert run(capsys, "-", "--check")[:2] == (1, "stdin.yaml\n")
    stdin(f"{HEAD}kind: [\n")
    code, out, err = run(capsys, "-", "--stdin-name", "x.yaml")
    assert (code, out) == (4, "")
    assert "x.yaml:3:1: error" in err
    assert run(capsys, "-", ".")[0] == 2


def test_nothing_to_format_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, str(tmp_path))[0] == 2


def test_the_worked_examples_are_in_their_usual_form(capsys: pytest.CaptureFixture[str]) -> None:
    examples = Path(__file__).parents[3] / "policies"
    assert run(capsys, "--check", str(examples))[0] == 0
