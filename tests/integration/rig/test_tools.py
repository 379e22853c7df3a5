"""The tools are what they are said to be, and a package without a good signature is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rig import tools
from tests.rig.tools import debian

pytestmark = pytest.mark.skipif(not debian.is_debian(), reason="tools are fetched on Debian only")


def test_restic_is_the_one_of_the_image_and_the_first_on_path() -> None:
    """Tests and production meet the same restic, whatever the machine has installed."""
    path = tools.restic_path()
    assert tools.version_of(path, "version")[:2] == (0, 18)
    assert path.parent.parent.name == tools.SUITE


def test_sshd_is_there() -> None:
    """It starts from an absolute path, as sshd demands."""
    path = tools.sshd_path()
    assert path.is_absolute()
    assert os.access(path, os.X_OK)


def archive(folder: Path) -> debian.Mirror:
    """Make a Debian archive on disk that nobody signed."""
    lists = folder / "dists" / "unsigned" / "main" / "binary-amd64"
    lists.mkdir(parents=True)
    (lists / "Packages").write_text("")
    (folder / "dists" / "unsigned" / "Release").write_text("Suite: unsigned\nComponents: main\n")
    return debian.Mirror((f"file:{folder}",), "")


def test_an_unsigned_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is unpacked, and the message says what was wrong with it."""
    monkeypatch.setenv("BACKSTAY_CACHE", str(tmp_path / "cache"))
    with pytest.raises(debian.ToolError, match="is not signed"):
        debian.unpack(
            ["restic"], "unsigned", tmp_path / "out", source=archive(tmp_path / "archive")
        )
    assert not (tmp_path / "out").exists()
