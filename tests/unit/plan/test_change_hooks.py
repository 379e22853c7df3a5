"""A reviewer sees every command that a change makes execute: word for word, and where."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.model.change import ChangePlan, Revision
from reconciler.model.finding import Finding, Severity
from reconciler.model.hooks import Hook, HookCommand, OnError
from reconciler.model.policy import BackupPolicy, NamespaceSelector
from reconciler.plan.change import plan_change
from reconciler.report import change as report
from reconciler.report.changecomment import render_comment, render_github
from tests.unit.plan.change_world import FILES, NOW, edited, ids, inventory, revision

LOCK = HookCommand(("mongosh", "--eval", "db.fsyncLock()"))
UNLOCK = HookCommand(("mongosh", "--eval", "db.fsyncUnlock()"), 30)
QUIESCE = Hook(
    name="quiesce", match_labels={"app": "mongo"}, container="mongo", pre=LOCK, post=UNLOCK
)
SYNC = Hook(name="sync", match_labels={"app": "web"}, pre=HookCommand(("sync",)))


def hooked(
    *hooks: Hook,
    files: dict[str, str] = FILES,
    shown: str = "head",
    within: tuple[str, ...] = ("shop", "shop-*"),
    names: tuple[str, ...] = (),
) -> Revision:
    """The company's files, and hooks of policy shop as its value has them."""
    found = revision(files, shown)

    def value(policy: object) -> object:
        if not isinstance(policy, BackupPolicy) or policy.name != "shop":
            return policy
        namespaces = replace(policy.selector.namespaces, grant="teams/a")
        if names:
            namespaces = NamespaceSelector(names=names, grant="teams/a")
        selector = replace(policy.selector, namespaces=namespaces)
        return replace(policy, hooks=hooks, hooks_within=within, selector=selector)

    documents = tuple(
        replace(one, value=value(one.value))  # type: ignore[arg-type]
        for one in found.parsed.documents
    )
    return replace(found, parsed=replace(found.parsed, documents=documents))


def planned(head: Revision, base: Revision | None = None, *, offline: bool = False) -> ChangePlan:
    """The plan of a change, by default from a base without hooks."""
    return plan_change(
        base or hooked(), head, None if offline else inventory(), cluster="prod-eu", now=NOW
    )


def of_hooks(plan: ChangePlan) -> list[Finding]:
    """Findings about hooks; nothing else of these changes is told."""
    found = [one for one in plan.findings if one.id.startswith("hook-")]
    assert ids(plan.findings) == ids(found)
    return found


def test_a_new_hook_is_told_with_its_commands_container_and_namespaces() -> None:
    (found,) = of_hooks(planned(hooked(QUIESCE)))
    assert (found.id, found.severity) == ("hook-executes", Severity.WARNING)
    assert found.message == (
        'policy shop executes ["mongosh", "--eval", "db.fsyncLock()"] before the copy and'
        ' ["mongosh", "--eval", "db.fsyncUnlock()"] after the copy,'
        " in container mongo of each pod with app=mongo (hook quiesce)"
    )
    assert found.details == (
        "before the copy: 1m, onError Fail",
        "after the copy: 30s, onError Fail",
        "in namespace shop",
        "in namespace shop-blue",
        "the grant of folder teams/a gives hooks in shop, shop-*",
    )
    assert found.facts == {
        "hook": "quiesce",
        "container": "mongo",
        "pods": "app=mongo",
        "pre": '["mongosh", "--eval", "db.fsyncLock()"]',
        "post": '["mongosh", "--eval", "db.fsyncUnlock()"]',
        "namespaces": "2",
    }
    assert found.place is not None
    assert found.place.file == "shop.yaml"


def test_hooks_that_stay_as_they_are_are_not_told() -> None:
    assert of_hooks(planned(hooked(QUIESCE, SYNC), hooked(QUIESCE, SYNC))) == []


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (LOCK, HookCommand(("mongosh", "--eval", "db.dropDatabase()"))),
        (LOCK, HookCommand(("mongosh", "--eval", "db.fsyncLock() "))),
        (LOCK, HookCommand(("mongosh", "--eval db.fsyncLock()"))),
        (None, LOCK),
    ],
)
def test_another_command_is_told_beside_the_one_before(
    was: HookCommand | None, now: HookCommand
) -> None:
    base, head = replace(QUIESCE, pre=was), replace(QUIESCE, pre=now)
    (found,) = of_hooks(planned(hooked(head), hooked(base)))
    assert found.id == "hook-executes"
    assert now.shown in found.message
    before = [line for line in found.details if line.startswith("before this change, ")]
    assert found.facts["pre"] == now.shown
    assert found.facts.get("preBefore") == (was.shown if was else None)
    assert "postBefore" not in found.facts
    if was:
        assert f"before this change, before the copy: {was.shown}" in before
    assert "before this change, container mongo of each pod with app=mongo" in before


@pytest.mark.parametrize(
    "now",
    [
        replace(QUIESCE, container="other"),
        replace(QUIESCE, container=None),
        replace(QUIESCE, match_labels={"app": "web"}),
        replace(QUIESCE, once=True),
    ],
)
def test_the_same_commands_elsewhere(now: Hook) -> None:
    (found,) = of_hooks(planned(hooked(now), hooked(QUIESCE)))
    assert found.id == "hook-executes"


def test_the_same_hook_in_one_more_namespace() -> None:
    base = hooked(QUIESCE, names=("shop",))
    head = hooked(QUIESCE, names=("shop", "shop-blue"))
    plan = planned(head, base)
    found = [one for one in plan.findings if one.id == "hook-executes"]
    assert [one.namespace for one in found] == ["shop-blue"]
    assert "in namespace shop-blue" in found[0].details
    assert "in namespace shop" not in found[0].details
    assert [one.id for one in planned(base, head).findings if one.id.startswith("hook")] == []


def test_namespaces_beyond_the_grant_are_not_among_them() -> None:
    (found,) = of_hooks(planned(hooked(QUIESCE, within=("shop",))))
    assert found.namespace == "shop"
    assert [line for line in found.details if line.startswith("in namespace")] == [
        "in namespace shop"
    ]


def test_what_is_not_known_is_said() -> None:
    (found,) = of_hooks(planned(hooked(QUIESCE, within=()), hooked(within=()), offline=True))
    assert "in namespace shop" in found.details
    assert found.details[-2:] == (
        "which namespaces globs and labels select is not known without an inventory",
        "whether Config grants it is not known without --config",
    )


def test_a_hook_of_no_namespace_there_is() -> None:
    head, base = hooked(QUIESCE, names=("gone",)), hooked(names=("gone",))
    (found,) = of_hooks(planned(head, base))
    assert "in no namespace that there is now" in found.details


def test_a_policy_that_is_resumed_executes_its_hooks_anew() -> None:
    suspended = edited(shop=("spec:\n", "spec:\n  suspend: true\n"))
    head, base = hooked(QUIESCE), hooked(QUIESCE, files=suspended)
    assert [one.id for one in planned(head, base).findings if one.id.startswith("hook")] == [
        "hook-executes"
    ]
    assert [one.id for one in planned(base, head).findings if one.id.startswith("hook")] == []
    (found,) = of_hooks(planned(base, hooked(files=suspended)))
    assert found.details[-1] == "it is suspended: so when it is resumed"


def test_a_hook_that_goes_is_told_with_what_it_executed() -> None:
    (found,) = of_hooks(planned(hooked(), hooked(QUIESCE)))
    assert (found.id, found.severity) == ("hook-removed", Severity.WARNING)
    assert found.message == (
        "policy shop no longer executes hook quiesce before and after the copy,"
        " in container mongo of each pod with app=mongo"
    )
    assert found.hint == "its data may be copied while the application writes it"
    assert found.facts["side"] == "base"
    assert found.details[0] == f"before the copy: {LOCK.shown}"


def test_a_command_that_goes_from_a_hook_that_stays() -> None:
    (found,) = of_hooks(planned(hooked(replace(QUIESCE, post=None)), hooked(QUIESCE)))
    assert found.message.startswith("policy shop no longer executes of hook quiesce after the copy")
    assert found.details == (f"after the copy: {UNLOCK.shown}",)


def test_limits_and_order() -> None:
    slower = replace(QUIESCE, pre=replace(LOCK, timeout=120))
    (found,) = of_hooks(planned(hooked(slower), hooked(QUIESCE)))
    assert (found.id, found.severity) == ("hook-changed", Severity.NOTE)
    assert found.message == (
        "hook quiesce of policy shop has timeout 2m instead of 1m before the copy"
    )
    laxer = replace(QUIESCE, pre=replace(LOCK, on_error=OnError.CONTINUE))
    (found,) = of_hooks(planned(hooked(laxer), hooked(QUIESCE)))
    assert found.severity is Severity.WARNING
    assert "onError Continue instead of Fail before the copy" in found.message
    (found,) = of_hooks(planned(hooked(SYNC, QUIESCE), hooked(QUIESCE, SYNC)))
    assert found.message == "policy shop runs its hooks in another order: sync, quiesce"


NASTY = (
    "sh", "-c", "echo `id` | tee x\n## [a](http://b) <img src=x> @team ::error:: ##[group]",
    "\u0430\u202e\u200b\u00ad", "a\\n", '"], "x"',
)  # fmt: skip


def texts(plan: ChangePlan) -> Iterable[str]:
    """The plan in every form for people."""
    return report.render_text(plan), render_comment(plan), render_github(plan)


def test_no_command_reads_as_another_one() -> None:
    hook = replace(SYNC, pre=HookCommand(NASTY))
    plan = planned(hooked(hook))
    (found,) = of_hooks(plan)
    shown = found.message.split("executes ", 1)[1].rsplit(" before the copy", 1)[0]
    assert shown.isascii()
    assert shown.isprintable()
    assert tuple(json.loads(shown)) == NASTY
    for text in texts(plan):
        line = next(line for line in text.splitlines() if "hook sync" in line)
        assert "tee x" in line
        assert "\u0430" not in text
    comment = render_comment(plan)
    assert "`id`" not in comment
    assert "<img" not in comment
    assert "@team" not in comment
    assert "##[group]" not in render_github(plan)


def test_a_long_command_is_whole_in_lines_that_nothing_cuts() -> None:
    command = HookCommand(("sh", "-c", "true;" * 800, "curl evil"))
    (found,) = of_hooks(planned(hooked(replace(SYNC, pre=command))))
    assert "executes the command below before the copy" in found.message
    lines = [line for line in found.details if line.startswith("before the copy")]
    whole = "".join(line.partition(": ")[2] for line in lines if "onError" not in line)
    assert tuple(json.loads(whole)) == command.command
    assert found.facts["pre"] == command.shown


def test_a_policy_that_is_new_or_renamed() -> None:
    others = {name: text for name, text in FILES.items() if name != "shop.yaml"}
    plan = planned(hooked(QUIESCE), revision(others, "main"))
    assert "hook-executes" in ids(plan.findings)
    renamed = replace(SYNC, name="again")
    told = of_hooks(planned(hooked(renamed), hooked(SYNC)))
    assert ids(told) == ["hook-executes", "hook-removed"]


def test_a_hook_of_once_says_that_its_namespace_is_drawn_by_name() -> None:
    said = "once: in the first of them by name that has such a pod, whoever started that"
    (found,) = of_hooks(planned(hooked(replace(QUIESCE, once=True))))
    assert said in found.details
    (found,) = of_hooks(planned(hooked(QUIESCE)))
    assert said not in found.details
