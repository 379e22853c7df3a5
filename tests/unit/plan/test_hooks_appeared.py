"""Pods that began after a hook had its turn."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.hooks import Hook, HookCommand
from reconciler.plan.hookappeared import appeared
from reconciler.plan.hooks import Effect, HookTarget, NamespaceHooks, NotHooked

HOOK = Hook(name="quiesce", match_labels={"app": "db"}, pre=HookCommand(("lock",)))
ONCE = Hook(name="once", match_labels={"app": "db"}, pre=HookCommand(("lock",)), once=True)


def target(pod: str, uid: str = "", hook: Hook = HOOK) -> HookTarget:
    """One that ran, or would."""
    return HookTarget(hook=hook, namespace="shop", pod=pod, uid=uid or pod, container="db")


def passed(pod: str, effect: Effect, hook: Hook = HOOK) -> NotHooked:
    """One that did not, or would not."""
    return NotHooked(hook=hook, namespace="shop", pod=pod, why="why", effect=effect)


def part(*found: Any) -> NamespaceHooks:
    """Of one namespace."""
    return NamespaceHooks(
        namespace="shop",
        targets=tuple(one for one in found if isinstance(one, HookTarget)),
        not_hooked=tuple(one for one in found if isinstance(one, NotHooked)),
    )


@pytest.mark.parametrize(
    ("first", "now", "told"),
    [
        (part(target("a")), part(target("a")), []),
        (part(target("a")), part(), []),
        (part(target("a")), part(target("a"), target("b")), ["shop/b has"]),
        (part(target("a")), part(target("a", "another")), ["shop/a has"]),
        (part(passed("", Effect.NONE)), part(target("a")), ["shop/a has"]),
        (part(passed("a", Effect.PARTIAL)), part(target("a")), ["shop/a has"]),
        (part(passed("a", Effect.PARTIAL)), part(passed("a", Effect.PARTIAL)), []),
        (part(target("a")), part(passed("a", Effect.FAILED)), []),
        (part(target("a")), part(passed("b", Effect.FAILED)), ["shop/b has its labels (why)"]),
        (part(target("a")), part(passed("b", Effect.PARTIAL)), ["shop/b has its labels (why)"]),
        (part(target("a")), part(passed("b", Effect.NONE)), []),
        (part(target("a")), part(passed("", Effect.PARTIAL)), []),
        (part(target("a")), part(passed("", Effect.FAILED)), ["pods in shop have its labels"]),
        (part(), part(target("a", hook=ONCE), passed("b", Effect.FAILED, ONCE)), []),
    ],
)
def test_what_nobody_quiesced_is_told(
    first: NamespaceHooks, now: NamespaceHooks, told: list[str]
) -> None:
    whys = appeared(first, now)
    assert len(whys) == len(told)
    assert all(one in why for one, why in zip(told, whys, strict=True))
