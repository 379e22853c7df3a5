"""What differs between two long values is on the line: never two sides that look the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.grants import Grant
from reconciler.report.change import render_text, to_json
from reconciler.report.changecomment import render_comment
from reconciler.report.differences import LONGEST, difference
from tests.unit.plan.change_world import FILES, SHOP, plan

LONG = "x" * 150
HOOK = {"name": "a", "pre": {"command": ["sh", "-c", LONG], "timeout": "30s"}}
HOOKS = """  hooks:
    - name: quiesce
      pods: {matchLabels: {app: mongo}}
      container: mongo
      pre: {command: [mongosh, --quiet, --eval, "db.fsyncLock()"], timeout: 30s}
      post: {command: [mongosh, --quiet, --eval, "db.fsyncUnlock()"]}
"""


def shown(before: Any, after: Any) -> str:
    values = (json.dumps(one, sort_keys=True) if one is not None else "" for one in (before, after))
    return difference("hooks", *values)


def with_pre(**fields: Any) -> dict[str, Any]:
    return {**HOOK, "pre": {**HOOK["pre"], **fields}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ([HOOK], [with_pre(timeout="50s")], 'hooks[0].pre.timeout: "30s" → "50s"'),
        ([HOOK], [with_pre(onError="Fail")], 'hooks[0].pre.onError: not written → "Fail"'),
        (
            [HOOK],
            [with_pre(command=["sh", "-c", f"{LONG}y"])],
            f'hooks[0].pre.command[2]: "…{"x" * 30}" → "…{"x" * 30}y"'.replace('"…', "…"),
        ),
        ([HOOK, HOOK], [HOOK], None),
        (None, [HOOK], None),
        ([*HOOK["pre"], LONG, 1], [*HOOK["pre"], LONG, True], "hooks[3]: 1 → true"),
        (["a"], ["b"], 'hooks: ["a"] → ["b"]'),
        (7, 3, "hooks: 7 → 3"),
    ],
)
def test_the_difference_is_shown(before: Any, after: Any, line: str | None) -> None:
    found = shown(before, after)
    if line is not None:
        assert found == line
    was, now = found.split(": ", 1)[1].split(" → ")
    assert was != now
    assert max(len(was), len(now)) <= LONGEST


_JSON = st.recursive(
    st.text("ab", max_size=200) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("kl"), inner, max_size=3),
    max_leaves=6,
)


@given(before=_JSON, after=_JSON)
def test_two_sides_never_look_the_same(before: Any, after: Any) -> None:
    was, now = (json.dumps(one, sort_keys=True) for one in (before, after))
    left, right = difference("", was, now).partition(": ")[2].split(" → ")
    assert (left == right) == (was == now)
    assert max(len(left), len(right)) <= LONGEST


def test_a_changed_hook_in_text_and_comment() -> None:
    grants = (Grant(admin=True, hooks=("shop", "shop-*")),)
    head = HOOKS.replace("timeout: 30s", "timeout: 50s")
    base = {**FILES, "shop.yaml": SHOP + HOOKS}
    found = plan({**FILES, "shop.yaml": SHOP + head}, base, grants=grants)
    row = 'hooks[0].pre.timeout: "30s" → "50s"'
    assert f"{row}  shop.yaml:16" in render_text(found)
    assert '"30s" → "50s"' in render_comment(found)
    (field,) = to_json(found)["changes"][0]["fields"]
    assert (field["path"], '"30s"' in field["before"]) == ("hooks", True)
    assert json.loads(field["after"])[0]["pre"]["timeout"] == "50s"


def test_a_default_stands_in_for_what_is_not_written() -> None:
    zone = SHOP.replace('schedule: "17 4 * * *"', 'schedule: {cron: "17 4 * * *", timeZone: UTC}')
    head = {**FILES, "shop.yaml": SHOP}
    base = {**FILES, "shop.yaml": zone}
    assert 'schedule.timeZone: "UTC" → "Etc/UTC" (default)' in render_text(plan(head, base))
    assert 'schedule.timeZone: "Etc/UTC" (default) → "UTC"' in render_text(plan(base, head))
    (field,) = to_json(plan(head, base))["changes"][0]["fields"]
    assert (field["before"], field["after"]) == ('"UTC"', "")


@pytest.mark.parametrize("head", ["keepWeekly: 7", "keepDaily: 7, keepWeekly: 7"])
def test_what_has_no_default_is_not_written(head: str) -> None:
    found = plan({**FILES, "shop.yaml": SHOP.replace("keepDaily: 7", head)})
    assert "retention.keepWeekly: not written → 7" in render_text(found)


def test_a_profile_leaves_to_policies_what_it_does_not_write() -> None:
    zone = FILES["profiles.yaml"].replace(
        'schedule: "47 2 * * *"', 'schedule: {cron: "47 2 * * *", timeZone: UTC}'
    )
    found = render_text(plan(FILES, {**FILES, "profiles.yaml": zone}))
    assert 'schedule.timeZone: "UTC" → not written' in found
    assert 'schedule.timeZone: "UTC" → "Etc/UTC" (default)' in found
    broken = zone.replace("keepDaily", "keepDaly")
    found = render_text(plan({**FILES, "profiles.yaml": broken}, {**FILES, "profiles.yaml": zone}))
    assert "timeZone" not in found
