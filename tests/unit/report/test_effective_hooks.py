"""`show policy` tells each hook with the place that it comes from, letter by letter."""

from __future__ import annotations

import json

import yaml

from reconciler.model.effective import EffectiveField, EffectivePolicy, Origin
from reconciler.report.effective import render_text, render_yaml, to_json

COMMAND = ["sh", "-c", "echo \u0430\u00ad\n"]
HOOKS = [{"name": "sync", "pre": {"command": COMMAND}}, {"name": "\u00fcber"}]


def shown(origin: Origin) -> EffectivePolicy:
    """A policy of which nothing is known but its hooks, and a label."""
    hooks = EffectiveField(path="hooks", value=HOOKS, origin=origin, file="gold.yaml", line=7)
    reason = EffectiveField(path="why", value="\u00fcber", origin=Origin.DEFAULT)
    return EffectivePolicy(
        name="shop", source="shop.yaml:3", fields=(hooks, reason), cron="17 4 * * *"
    )


def test_each_hook_has_a_line_and_its_origin() -> None:
    lines = render_text(shown(Origin.PROFILE)).splitlines()
    first, second = (line for line in lines if line.startswith("hooks["))
    assert first.startswith("hooks[0]")
    assert first.endswith("gold.yaml:7 (profile)")
    assert r"echo \u0430\u00ad\n" in first
    assert first.isascii()
    assert second.isascii()
    assert any("\u00fcber" in line for line in lines)


def test_yaml_and_json_read_back_as_the_same_hooks() -> None:
    text = render_yaml(shown(Origin.POLICY))
    line = next(line for line in text.splitlines() if line.startswith("  hooks:"))
    assert line.isascii()
    assert line.endswith("# gold.yaml:7")
    assert yaml.safe_load(text)["spec"]["hooks"] == HOOKS
    fields = json.loads(json.dumps(to_json(shown(Origin.POLICY))))["fields"]
    assert fields[0] == {
        "path": "hooks", "value": HOOKS, "origin": "policy", "file": "gold.yaml", "line": 7,
    }  # fmt: skip
