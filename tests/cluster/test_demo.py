"""The README's commands, as somebody new would type them.

`scripts/test` is the other one: it is what runs this.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import leftovers
from tests.rig.cluster import paths
from tests.rig.stage import demo

ROOT = paths.REPOSITORY
NAME = f"test-demo-{os.getpid()}"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FOUND = BLOCK.findall((ROOT / "README.md").read_text())
BLOCKS = [text for language, text in FOUND if language == "sh"]
RESTORE = BLOCKS[3]
SHOWN = [text for language, text in FOUND if not language]


def shell(script: str, *, home: str) -> subprocess.CompletedProcess[str]:
    """A script in a shell of its own, below the repository."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=800, check=False,
        env=os.environ | {"HOME": home},
    )  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `scripts/demo` printed; the demo is up for the module."""
    home = str(tmp_path_factory.mktemp("home"))
    before = leftovers.look(NAME)
    try:
        done = shell(f"{ROOT}/scripts/demo --name {NAME}", home=home)
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout
    finally:
        ended = shell(f"{ROOT}/scripts/demo down --name {NAME}", home=home)
    assert ended.returncode == 0, ended.stderr
    assert leftovers.new_since(before, NAME) == frozenset()
    assert not Path(demo.folder(NAME)).exists()


def test_the_readme_has_the_commands_that_are_run_here() -> None:
    assert BLOCKS[:2] == ["scripts/demo\n", "scripts/test\n"]
    # The third needs no cluster: tests/integration/cli/test_readme.py types it. The fifth is for
    # an empty one: test_recovery.py.
    assert len(BLOCKS) == 5
    assert RESTORE.startswith("backstay log shop ")
    assert all(line.startswith(("backstay ", "kubectl ")) for line in RESTORE.splitlines())


def test_the_demo_does_what_the_readme_shows(told: str) -> None:
    """Line by line: what stands in the README was printed, but for times, ids and hashes."""
    varying = re.compile(
        r"^ *[\d.]+ s|\d{8}-\d{6}-\w+|\d{4}-\d\d-\d\dT\S+|\b[0-9a-f]{8,}\b|\+[\d.]+ KiB| +"
    )
    printed = {varying.sub(" ", line).strip() for line in told.splitlines()}
    for line in SHOWN[0].splitlines():
        assert varying.sub(" ", line).strip() in printed


def test_the_readme_restores_in_four_lines(told: str, tmp_path: Path) -> None:
    environment = re.search(r"^  \. (\S+)$", told, re.MULTILINE)
    assert environment
    source = f". {environment[1]}"
    lost = shell(f"{source}; kubectl delete namespace shop --timeout=300s", home=str(tmp_path))
    assert lost.returncode == 0, lost.stderr
    done = shell(f"{source}\n{RESTORE}", home=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deployment.apps/web" in done.stdout
    assert "3 volumes filled" in done.stdout


def test_a_shell_is_told_where_it_is_and_may_push(told: str, tmp_path: Path) -> None:
    environment = re.search(r"^  \. (\S+)$", told, re.MULTILINE)
    assert environment
    script = f". {environment[1]}; pwd; git -C clones/policies push"
    done = shell(script, home=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"now in {done.stdout.strip()}: backstay.yaml")
    assert "Everything up-to-date" in done.stderr


def test_a_second_demo_says_that_there_is_one(told: str, tmp_path: Path) -> None:
    again = shell(f"{ROOT}/scripts/demo --name {NAME}", home=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("the demo is already up\n")
    assert told.rstrip().endswith(again.stdout.partition("\n")[2].strip())
    end = demo.done(NAME).rename(demo.folder(NAME) / "aside")
    try:
        half = shell(f"{ROOT}/scripts/demo --name {NAME}", home=str(tmp_path))
    finally:
        end.rename(demo.done(NAME))
    assert half.returncode == 1
    assert f"scripts/demo down --name {NAME}" in half.stderr
