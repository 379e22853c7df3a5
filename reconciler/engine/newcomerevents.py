"""Tells of new applications on the objects of the policies that protect them, as Events.

Said once, by whoever says it first: an Event's name is made of what it says. Trouble here is told
and ends nothing, as in all of noticing.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.engine import mirror
from reconciler.engine.controller import Setting
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.plan.mirror import is_mirror
from reconciler.plan.mirrorevents import make_event
from reconciler.plan.newcomers import Newcomer, newcomer_events

_MOST = 50
"""Events of one look, a request each: the cycle waits for them."""


def announce(newcomers: Sequence[Newcomer], setting: Setting) -> bool:
    """One list of the mirrors, and the Events that are not there yet; none where nobody is new.

    False where the API server was away: then the same may be said again, by the next look.
    """
    told = list(newcomer_events(newcomers))
    if not told:
        return True
    try:
        # Where nothing is served, or nobody may look, the cycle's own mirroring says so.
        mirrors = mirror.look(setting.reader, setting.place.namespace).mirrors or ()
        live = {raw["metadata"]["name"]: raw for raw in mirrors if is_mirror(raw)}
        written = [(live[policy], one) for policy, one in told if policy in live]
        for raw, one in written[:_MOST]:
            now = setting.clock.now()
            setting.writer.announce(make_event(one, raw, instance=setting.holder, now=now))
    except Interrupted:
        return True
    except BackstayError as error:
        setting.reporter.warning("event not written", why=error.message, hint=error.hint)
        return not isinstance(error, Transient)
    if len(written) > _MOST:
        more = len(written) - _MOST
        setting.reporter.warning("and more", of="events of new applications", count=more)
    return True
