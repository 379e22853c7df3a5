"""The schemas for editors take what `backstay validate` takes, and show what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reconciler.model.policy import Kind
from reconciler.policy import editors
from reconciler.policy.nodes import plain_value
from reconciler.policy.reading import read_file
from tests.unit.policy import draft7, test_config, test_other_kinds, test_parsing
from tests.unit.policy.yamltexts import CONFIG, EXEMPT, GOLD, MAIN, RESTORE, SHOP

ROOT = Path(__file__).parents[3]
SCHEMAS = {path.name: json.loads(path.read_text()) for path in (ROOT / "schemas").glob("*.json")}
POLICIES = SCHEMAS["policies.v1alpha1.json"]
EXAMPLES = [
    text
    for path in sorted((ROOT / "policies").rglob("*.yaml"))
    for text in path.read_text().split("\n---\n")
]
PAGES = [path.read_text() for path in (ROOT / "docs").glob("policies.md")]
BLOCKS = [
    text
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for text in block.split("\n---\n")
]
VALID = [
    *(SHOP, GOLD, MAIN, EXEMPT, RESTORE, CONFIG),
    *(test_parsing.FULL, test_config.FULL, test_other_kinds.FULL),
    *EXAMPLES,
    *BLOCKS,
    SHOP.replace('"17 4 * * *"', '{cron: "@daily"}').replace("[shop]", "{matchLabels: {a: b}}"),
]


def problems(text: str) -> list[str]:
    """What an editor would show of one document."""
    root = read_file("a.yaml", text.encode())[0].root
    assert root is not None
    value = plain_value(root)
    assert isinstance(value, dict)
    if value.get("kind") == "Config":
        return draft7.problems(value, SCHEMAS["config.v1alpha1.json"], SCHEMAS)
    return draft7.problems(value, POLICIES, SCHEMAS)


def test_the_files_are_what_the_language_says() -> None:
    assert editors.editor_schemas() == SCHEMAS
    assert {editors.file_name(kind) for kind in (*Kind, "Config", "Run")} < set(SCHEMAS)


@pytest.mark.parametrize("number", range(len(VALID)))
def test_what_is_valid_is_valid_in_an_editor(number: int) -> None:
    assert problems(VALID[number]) == []


@pytest.mark.parametrize(
    ("text", "old", "new", "at"),
    [
        (SHOP, "keepDaily", "keepDaly", ".spec.retention: unknown keepDaly"),
        (SHOP, "{keepDaily: 7}", "{}", ".spec.retention"),
        (SHOP, '"17 4 * * *"', "{timeZone: Etc/UTC}", ".spec.schedule: not ['cron']"),
        (SHOP, "  retention: {keepDaily: 7}\n", "", ".spec: not ['schedule'"),
        (SHOP, "[shop]", "[]", ".spec.selector.namespaces"),
        (SHOP, "[shop]", "{exclude: [x]}", ".spec.selector.namespaces"),
        (SHOP, "[shop]", "[Shop]", ".spec.selector.namespaces[0]"),
        (SHOP, "copyMethod: Direct", "copyMethod: direct", ".spec.volumes.copyMethod"),
        (SHOP, "copyMethod: Direct", "concurrency: 100", ".spec.volumes.concurrency"),
        (
            SHOP,
            "copyMethod: Direct",
            "rules: [{match: {}, copyMethod: Skip}]",
            ".spec.volumes.rules",
        ),
        (SHOP, "name: shop", "name: Shop", ".metadata.name"),
        (SHOP, "kind: BackupPolicy", "kind: BackupPolice", ".kind"),
        (SHOP, "v1alpha1", "v1", ".apiVersion"),
        (SHOP, "suspend", "suspend", ""),
        (GOLD, "volumes:", "profile: x\n  volumes:", ".spec: unknown profile"),
        (GOLD, "keepDaily: 30, keepMonthly: 12", "", ".spec.retention"),
        (MAIN, "s3:", "ftp:", ".spec.url"),
        (MAIN, "  secretRef: {name: restic-main}\n", "", ".spec"),
        (EXEMPT, "  owner: team-ci\n", "", ".spec"),
        (EXEMPT, "2027-03-31", "never", ".spec.expires"),
        (RESTORE, ", at: 2026-11-21T02:00:00Z", "", ".spec.from"),
        (RESTORE, "policy: shop, ", "", ".spec.from"),
        (RESTORE, "Z}", "Z, run: shop-20261121-041703-7c1e9}", ".spec.from"),
        (CONFIG, "image:", "imag:", "unknown imag"),
        (CONFIG, "secretRef: {name: git}", "secretRef: {name: git}, env: GIT_", ".policySource"),
    ],
)
def test_an_editor_shows_mistakes(text: str, old: str, new: str, at: str) -> None:
    assert at == "" or old in text
    found = problems(text.replace(old, new, 1))
    assert bool(found) is bool(at)
    assert any(at in line for line in found) or not at, found


def test_with_a_profile_nothing_else_is_required() -> None:
    small = re.sub(r"(?s)spec:.*", "spec: {profile: gold}\n", SHOP)
    assert problems(small) == []
    assert problems(small.replace("profile: gold", "suspend: true")) != []


def test_what_is_not_executed_says_so() -> None:
    spec = SCHEMAS["backuppolicy.v1alpha1.json"]["properties"]["spec"]["properties"]
    hold = spec["hooks"]["items"]["properties"]["hold"]
    assert hold["description"].endswith("Not supported yet.")
    method = spec["volumes"]["properties"]["copyMethod"]["description"]
    assert method.endswith("Not supported yet: `Auto`, `Clone`, `Snapshot`.")
