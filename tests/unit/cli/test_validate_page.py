"""What docs/validate.md shows is what the commands do."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from reconciler.cli import main, policyfiles
from reconciler.policy import nodes, parsing
from tests.unit.policy.test_fuzz import INPUTS
from tests.unit.policy.yamltexts import MAIN

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/validate.md").read_text()
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
POLICIES = [text for text in YAML if text.startswith("apiVersion:")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's policy."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "main.yaml").write_text(MAIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "policies" / "shop.yaml"


def test_validate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_text(POLICIES[0])
    shown = re.findall(r"```\n\$ backstay validate policies\n(.*?)```", PAGE, re.DOTALL)
    assert main.run(["validate", "policies"]) == 4
    assert [capsys.readouterr().out] == shown


def test_fmt(folder: Path) -> None:
    before, after = POLICIES[1:]
    folder.write_text(before)
    assert main.run(["fmt", "policies/shop.yaml"]) == 0
    assert folder.read_text() == after
    assert main.run(["validate", "policies"]) == 0


def test_the_examples_of_ci_are_yaml_and_name_hooks_that_there_are() -> None:
    for text in YAML:
        yaml.safe_load(text)
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    used = re.findall(r"- id: (\S+)", PAGE)
    assert sorted(used) == sorted(hook["id"] for hook in hooks)


def test_every_option_of_both_commands_is_on_the_page() -> None:
    for verb in ("validate", "fmt"):
        command = main.cli.get_command(click.Context(main.cli), verb)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(f"`{option}" in PAGE for option in parameter.opts), parameter.name


def test_limits() -> None:
    rows = [
        f"| size | {nodes.MAX_BYTES >> 10} KiB | {parsing.MAX_BYTES >> 20} MiB parsed, 64 MiB read",
        f"| documents | {nodes.MAX_DOCUMENTS} | {parsing.MAX_DOCUMENTS:,} |",
        f"| values | {nodes.MAX_NODES:,} | {parsing.MAX_VALUES:,} |",
        f"| levels | {nodes.MAX_DEPTH} | |",
        f"{nodes.MAX_PROBLEMS} per document | {parsing.MAX_PROBLEMS:,}, then one",
        f"| names below the folder | | {policyfiles.MAX_ENTRIES:,}, 32 MiB of them |",
        f"| policy files | | {policyfiles.MAX_FILES:,} |",
    ]
    assert [row for row in rows if row not in PAGE] == []
    assert policyfiles.MAX_TOTAL == 64 << 20
    assert 50 * INPUTS == 100_000
