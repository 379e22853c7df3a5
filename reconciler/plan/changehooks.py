"""Findings about commands that a change makes execute in an application's pods. Pure.

The command is told word for word, as a JSON list in which whatever is not plain ASCII is escaped:
no quote, line break, look-alike or change of direction makes it read as another one. It is never
cut, and never masked: who could hide a part of a command in it would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.durations import render_duration
from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.hooks import Hook, OnError, Phase
from reconciler.model.inventory import Inventory
from reconciler.model.policy import BackupPolicy
from reconciler.plan.changecover import Covered
from reconciler.plan.changecoverage import Cover
from reconciler.plan.changewhy import POLICY, Sides
from reconciler.plan.hooks import may_run

EXECUTES = "hook-executes"
CHANGED = "hook-changed"
REMOVED = "hook-removed"
_WHEN = {Phase.PRE: "before", Phase.POST: "after"}
_SHORT = 600
"""Characters of commands that stand in the sentence itself, so that they are never left out."""
_PIECE = 900
"""Characters of a detail's line, below what a finding cuts."""
_SUSPENDED = "it is suspended: so when it is resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """A policy on one side of the change, and where its hooks may run there."""

    policy: BackupPolicy
    namespaces: tuple[str, ...]

    @classmethod
    def of(cls, sides: Sides, policy: BackupPolicy, covered: Covered) -> _Side:
        """Without a limit nobody knows the grants, and the selection is all that is known."""
        names = covered.selection.names
        if policy.hooks_within:
            names = may_run(policy, names, own_namespace=sides.ground.own_namespace)
        return cls(policy=policy, namespaces=names)

    @property
    def hooks(self) -> dict[str, Hook]:
        """By name, in order."""
        return {hook.name: hook for hook in self.policy.hooks}


def hook_findings(
    sides: Sides,
    before: Cover,
    after: Cover,
    former: Mapping[str, str],
    inventory: Inventory | None,
) -> Iterator[Finding]:
    """`EXECUTES`, `CHANGED`, `REMOVED`. ``former``: policy of the head → its name in the base.

    A policy that is resumed executes all of its hooks anew. One that goes takes its hooks along,
    and `policy-removed` tells it.
    """
    for name, policy in sorted(sides.after.policies.items()):
        was = sides.before.policies.get(former.get(name, name))
        resumed = was is not None and was.suspend and not policy.suspend
        if not policy.hooks and (was is None or not was.hooks):
            continue
        new = _Side.of(sides, policy, after.covered[name])
        old = _Side.of(sides, was, before.covered[was.name]) if was and not resumed else None
        for hook in policy.hooks:
            yield from _hook(sides, old, new, hook, known=inventory is not None)
        if old is not None:
            yield from _gone(sides, old, new)
            yield from _order(sides, old, new)


def _hook(
    sides: Sides, old: _Side | None, new: _Side, hook: Hook, *, known: bool
) -> Iterator[Finding]:
    was = old.hooks.get(hook.name) if old else None
    if old is None or was is None or _does_more(was, hook):
        yield _executes(sides, new, hook, was, new.namespaces, known=known)
        return
    more = tuple(name for name in new.namespaces if name not in old.namespaces)
    if more:
        yield _executes(sides, new, hook, None, more, known=True)
    yield from _otherwise(sides, new, was, hook)


def _does_more(was: Hook, hook: Hook) -> bool:
    """Whether it executes what it did not, or elsewhere."""
    if _where(was) != _where(hook):
        return True
    pairs = ((was.command(phase), hook.command(phase)) for phase in Phase)
    return any(now and (before is None or before.command != now.command) for before, now in pairs)


def _executes(
    sides: Sides,
    new: _Side,
    hook: Hook,
    was: Hook | None,
    namespaces: tuple[str, ...],
    *,
    known: bool,
) -> Finding:
    policy = new.policy
    commands = {phase: one for phase in Phase if (one := hook.command(phase))}
    short = sum(len(one.shown) for one in commands.values()) <= _SHORT
    told = " and ".join(
        f"{one.shown if short else 'the command below'} {_WHEN[phase]} the copy"
        for phase, one in commands.items()
    )
    details = [] if short else list(_commands(hook))
    details += _details(new, hook, namespaces, known=known)
    if was is not None:
        details += (f"before this change, {line}" for line in (*_commands(was), _where(was)))
    return Finding(
        id=EXECUTES,
        severity=Severity.WARNING,
        message=f"policy {policy.name} executes {told}, in {_where(hook)} (hook {hook.name})",
        hint="it runs with whatever rights that container has",
        policy=policy.name,
        namespace=namespaces[0] if len(namespaces) == 1 else "",
        place=_place(sides, policy, hook),
        details=tuple(details),
        facts=_facts(hook) | _before(was, hook) | {"namespaces": str(len(namespaces))},
    )


def _commands(hook: Hook, phases: Iterable[Phase] = Phase) -> Iterator[str]:
    """Commands in full, in lines that nothing cuts."""
    for phase in phases:
        command = hook.command(phase)
        text = command.shown if command else ""
        for at in range(0, len(text), _PIECE):
            more = "" if at == 0 else ", goes on"
            yield f"{_WHEN[phase]} the copy{more}: {text[at : at + _PIECE]}"


def _details(new: _Side, hook: Hook, namespaces: tuple[str, ...], *, known: bool) -> Iterator[str]:
    for phase in Phase:
        if command := hook.command(phase):
            yield f"{_WHEN[phase]} the copy: {command.limits}"
    if namespaces:
        yield from (f"in namespace {name}" for name in namespaces)
        if hook.once and len(namespaces) > 1:
            yield "once: in the first of them by name that has such a pod, whoever started that"
    elif known:
        yield "in no namespace that there is now"
    if not known:
        yield "which namespaces globs and labels select is not known without an inventory"
    policy = new.policy
    if policy.hooks_within:
        folder = policy.selector.namespaces.grant
        yield f"the grant of folder {folder} gives hooks in {', '.join(policy.hooks_within)}"
    else:
        yield "whether Config grants it is not known without --config"
    if policy.suspend:
        yield _SUSPENDED


def _where(hook: Hook) -> str:
    """``container db of each pod with app=db``."""
    container = f"container {hook.container}" if hook.container else "the default container"
    labels = ",".join(f"{key}={value}" for key, value in sorted(hook.match_labels.items()))
    return f"{container} of {'one pod' if hook.once else 'each pod'} with {labels}"


def _place(sides: Sides, policy: BackupPolicy, hook: Hook) -> Place | None:
    return sides.at(policy.name, f"hooks[{policy.hooks.index(hook)}]")


def _facts(hook: Hook) -> dict[str, str]:
    found = {
        "hook": hook.name,
        "container": hook.container or "",
        "pods": ",".join(f"{key}={value}" for key, value in sorted(hook.match_labels.items())),
    }
    return found | {str(phase): one.shown for phase in Phase if (one := hook.command(phase))}


def _before(was: Hook | None, hook: Hook) -> dict[str, str]:
    """``preBefore`` and the like: what a hook had of that which differs now."""
    old, new = _facts(was) if was else {}, _facts(hook)
    return {f"{key}Before": value for key, value in old.items() if value != new.get(key)}


def _otherwise(sides: Sides, new: _Side, was: Hook, hook: Hook) -> Iterator[Finding]:
    """What a hook that executes the same has of other limits."""
    words, laxer = [], False
    for phase in Phase:
        before, now = was.command(phase), hook.command(phase)
        if before is None or now is None:
            continue
        if before.timeout != now.timeout:
            times = render_duration(now.timeout), render_duration(before.timeout)
            words.append(f"timeout {times[0]} instead of {times[1]} {_WHEN[phase]} the copy")
        if before.on_error is not now.on_error:
            words.append(
                f"onError {now.on_error} instead of {before.on_error} {_WHEN[phase]} the copy"
            )
            laxer = laxer or now.on_error is OnError.CONTINUE
    if words:
        yield Finding(
            id=CHANGED,
            severity=Severity.WARNING if laxer else Severity.NOTE,
            message=f"hook {hook.name} of policy {new.policy.name} has {' and '.join(words)}",
            hint="data that was not quiesced is copied all the same" if laxer else "",
            policy=new.policy.name,
            place=_place(sides, new.policy, hook),
            details=(_SUSPENDED,) if new.policy.suspend else (),
            facts={"hook": hook.name},
        )


def _gone(sides: Sides, old: _Side, new: _Side) -> Iterator[Finding]:
    """Commands that execute no more."""
    kept = new.hooks
    for number, was in enumerate(old.policy.hooks):
        hook = kept.get(was.name)
        lost = [
            phase for phase in Phase if was.command(phase) and not (hook and hook.command(phase))
        ]
        if not lost:
            continue
        when = " and ".join(_WHEN[phase] for phase in lost)
        what = "of hook" if hook else "hook"
        yield Finding(
            id=REMOVED,
            severity=Severity.WARNING,
            message=f"policy {new.policy.name} no longer executes {what} {was.name} {when} the"
            f" copy, in {_where(was)}",
            hint="" if hook else "its data may be copied while the application writes it",
            policy=new.policy.name,
            place=_place(sides, new.policy, hook)
            if hook
            else sides.base.place(POLICY, old.policy.name, f"hooks[{number}]"),
            details=tuple(_commands(was, lost)),
            facts=_facts(was) | ({} if hook else {"side": "base"}),
        )


def _order(sides: Sides, old: _Side, new: _Side) -> Iterator[Finding]:
    before = [name for name in old.hooks if name in new.hooks]
    now = [name for name in new.hooks if name in old.hooks]
    if before != now:
        yield Finding(
            id=CHANGED,
            severity=Severity.NOTE,
            message=f"policy {new.policy.name} runs its hooks in another order:"
            f" {', '.join(new.hooks)}",
            policy=new.policy.name,
            place=sides.at(new.policy.name, "hooks"),
            details=(f"before this change: {', '.join(old.hooks)}",),
            facts={"from": ",".join(before), "to": ",".join(now)},
        )
