"""Pods that a hook's labels match and that were not there when it had its turn. Pure.

Nobody quiesced them, and they write what is copied beside: a namespace that is scaled up, rolled
out, or had no pod for a moment. So pods are listed once more when the copy is over.
"""

from __future__ import annotations

from reconciler.plan.hooks import Effect, HookTarget, NamespaceHooks, NotHooked


def appeared(first: NamespaceHooks, now: NamespaceHooks) -> tuple[str, ...]:
    """Why a namespace was not at rest, a sentence for each; ``first`` is what was executed.

    Not of hooks with ``once``, which run in one pod only, nor of pods that have ended meanwhile.
    """
    hooked = {(one.hook.name, one.uid) for one in first.targets}
    known = {(one.hook.name, one.pod) for one in first.targets}
    known |= {(one.hook.name, one.pod) for one in first.not_hooked}
    late: list[HookTarget | NotHooked] = [
        one for one in now.targets if (one.hook.name, one.uid) not in hooked
    ]
    late += [
        one
        for one in now.not_hooked
        if one.effect is not Effect.NONE
        and (one.pod or one.effect is Effect.FAILED)
        and (one.hook.name, one.pod) not in known
    ]
    return tuple(_tell(one) for one in late if not one.hook.once)


def _tell(one: HookTarget | NotHooked) -> str:
    where = f"{one.namespace}/{one.pod}" if one.pod else one.namespace
    more = f" ({one.why})" if isinstance(one, NotHooked) else ""
    what = f"pod {where} has its labels" if one.pod else f"pods in {where} have its labels"
    return f"hook {one.hook.name} did not run where it matches by now: {what}{more}"
