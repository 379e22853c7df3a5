"""The versions of the programs that are really here, and what is said where one is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.adapters.programs import program_version
from reconciler.model.errors import Refused
from tests.rig.tools import restic_path


def test_git_and_restic_tell_their_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", program_version("git"))
    monkeypatch.setenv("PATH", str(restic_path().parent))
    assert program_version("restic").startswith("0.")


def test_a_program_that_is_missing_or_mute_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="restic is not installed"):
        program_version("restic")
    (tmp_path / "restic").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "restic").chmod(0o755)
    with pytest.raises(Refused, match="does not tell its version"):
        program_version("restic")
