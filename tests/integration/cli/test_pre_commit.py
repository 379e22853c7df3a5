"""The hooks for pre-commit, run as it runs them: from the checkout's root, in a clean process."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.policy.yamltexts import MAIN, SHOP

ROOT = Path(__file__).parents[3]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
NOT_HELD = "note: no Config was given, so grants were not held: give it with --config\n"
MESSY = SHOP.replace("spec:\n", "spec:\n  suspend:  false\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with policies and with YAML that is none of them."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "main.yaml").write_text(MAIN)
    (tmp_path / "policies" / "shop.yaml").write_text(SHOP)
    (tmp_path / "chart.yaml").write_text("{{ template }}\n")
    return tmp_path


def run_hook(name: str, checkout: Path, arguments: list[str]) -> tuple[int, str]:
    """Exit code and output of a hook over all files that it is for; pre-commit joins both."""
    hook = HOOKS[name]
    files = sorted(
        str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()
    )
    wanted = [file for file in files if re.search(hook["files"], file)]
    assert wanted
    passed = wanted if hook.get("pass_filenames", True) else []
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*shlex.split(hook["entry"]), *hook.get("args", []), *arguments, *passed],
        cwd=checkout,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_every_hook_says_what_pre_commit_needs() -> None:
    for hook in HOOKS.values():
        assert {"id", "name", "entry", "language", "files"} <= set(hook)
        assert hook["language"] == "python"
    assert set(HOOKS) == {"backstay-validate", "backstay-fmt"}


def test_validate_reads_the_folders_of_its_arguments_whole(checkout: Path) -> None:
    assert run_hook("backstay-validate", checkout, ["policies"]) == (
        0,
        f"1 policy, 1 repository: valid\n{NOT_HELD}",
    )
    (checkout / "policies" / "shop.yaml").write_text(SHOP.replace("keepDaily", "keepDaly"))
    code, output = run_hook("backstay-validate", checkout, ["policies"])
    assert code == 4
    assert output.startswith("policies/shop.yaml:8:15: error: unknown field `keepDaly`")


def test_fmt_writes_the_files_it_is_given_and_passes_the_second_time(checkout: Path) -> None:
    (checkout / "policies" / "shop.yaml").write_text(MESSY)
    code, output = run_hook("backstay-fmt", checkout, [])
    assert (code, output.splitlines()[0]) == (0, "policies/shop.yaml")
    assert "suspend: false" in (checkout / "policies" / "shop.yaml").read_text()
    assert run_hook("backstay-fmt", checkout, ["--check"])[0] == 0
