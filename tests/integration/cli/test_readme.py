"""What the README tells people to type before they merge works, without a cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
(BLOCK,) = re.findall(
    r"^## Before you merge\n\n```sh\n(.*?)^```$",
    (ROOT / "README.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
SAID = {
    "validate": "valid",
    "fmt": "as usual already",
    "show": "policies/profiles.yaml:",
    "simulate": "49 runs",
}
"""verb → what must be in the answer"""


@pytest.mark.parametrize("line", BLOCK.splitlines(), ids=lambda line: line.split()[1])
def test_the_readmes_commands_before_a_merge(line: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    programs = f"{Path(sys.executable).parent}:{os.defpath}"
    done = subprocess.run(
        ["bash", "-euc", line],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": programs, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SAID[line.split()[1]] in done.stdout + done.stderr
    kept = {path.name: path.read_bytes() for path in (tmp_path / "policies").iterdir()}
    assert kept == {path.name: path.read_bytes() for path in (ROOT / "policies").iterdir()}
