"""docs/hooks.md: its examples are valid policies, and pages say whether hooks are executed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.plan import rights
from tests.unit.policy.yamltexts import MAIN, SHOP, messages, parse

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "hooks.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
NOT_YET = {
    "hooks.md": "Hooks are not supported yet",
    "plan.md": "Hooks are not supported yet",
    "grants.md": "hooks are not executed yet",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_are_valid(block: str) -> None:
    given = set(yaml.safe_load(block))
    kept = [line for line in SHOP.splitlines() if line.strip().partition(":")[0] not in given]
    text = "\n".join(kept) + "\n" + "".join(f"  {line}\n" for line in block.splitlines())
    told = messages(parse(MAIN, text))
    assert [line for line in told if "`hooks` is not supported yet" not in line] == []


def test_there_is_an_example_for_each_database() -> None:
    assert len(BLOCKS) == 4
    for name in ("MongoDB", "PostgreSQL", "MySQL and MariaDB", "Redis"):
        assert f"**{name}**" in PAGE


@pytest.mark.parametrize("page", NOT_YET)
def test_pages_say_whether_hooks_are_executed(page: str) -> None:
    """The line goes when the table says that they are."""
    refused = capabilities.support_of("BackupPolicy", "spec.hooks") is Support.PARSED
    assert (NOT_YET[page] in (DOCS / page).read_text()) is refused


def test_the_role_of_the_page_is_the_one_that_runs_are_bound_to() -> None:
    role = rights.Role.RUN
    assert f"--serviceaccount=backstay-system:{role.account} " in PAGE
    assert {need.right.resource for need in rights.HOOKS} == {"pods/exec"}
