"""Where hooks would run, as lines for whoever looks at a plan. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from reconciler.model.hooks import Phase
from reconciler.model.plan import HookLine, HookMiss
from reconciler.plan.hooks import Effect, HookPlan, HookTarget, in_order


def hook_lines(plan: HookPlan) -> tuple[HookLine, ...]:
    """One per namespace, side of the copy and hook, in the order of execution."""
    found: list[HookLine] = []
    for name, there in plan.namespaces.items():
        targets = (*(one for one in plan.once if one.namespace == name), *there.targets)
        for phase in Phase:
            found += _of_phase(targets, phase)
    return tuple(found)


def _of_phase(targets: tuple[HookTarget, ...], phase: Phase) -> Iterator[HookLine]:
    ordered = in_order(targets, phase)
    for _, group in itertools.groupby(ordered, lambda target: target.hook.name):
        same = tuple(group)
        command = same[0].hook.command(phase)
        if command is not None:
            yield HookLine(
                namespace=same[0].namespace,
                hook=same[0].hook.name,
                phase=phase,
                command=command,
                pods=tuple((one.pod, one.container) for one in same),
                once=same[0].hook.once,
            )


def hook_misses(plan: HookPlan) -> tuple[HookMiss, ...]:
    """Every reason; the harmless ones are marked."""
    return tuple(
        HookMiss(
            namespace=one.namespace,
            hook=one.hook.name,
            pod=one.pod,
            why=one.why,
            well=one.effect is Effect.NONE,
        )
        for one in plan.not_hooked
    )
