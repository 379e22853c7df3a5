"""One restore at a time in a cluster.

Two restores could fill one claim twice, or start workloads on a claim that the other one still
fills. The Lease lies in Backstay's own namespace, or in ``default`` where that is not there yet:
the day after the cluster died, a restore comes before the installation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from reconciler import ports
from reconciler.engine.leases import DURATION, keep_lease
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Waiting
from reconciler.plan.doctorleftovers import holders

LEASE = "backstay-restore"
_FALLBACK = "default"


def restore_beside(
    reader: ports.ClusterReader,
    *,
    namespace: str,
    holder: str,
    now: datetime,
    is_dead: Callable[[str], bool],
) -> str:
    """Says which other restore is at work, if one is; an empty text otherwise. Changes nothing.

    It only saves somebody the time of a plan: who may not read it is told when the Lease is taken.
    """
    for where in (namespace, _FALLBACK):
        try:
            lease = reader.get(kinds.LEASES, LEASE, namespace=where)
        except BackstayError:
            continue
        for held in holders([lease] if lease else ()):
            if held.holder != holder and held.until > now and not is_dead(held.holder):
                return _tell(held.holder, where)
    return ""


def waiting(told: str) -> Waiting:
    """The end of a restore that has found another one at work."""
    return Waiting(
        f"{told}; nothing was changed",
        hint=f"wait until it ends; if it was killed, its Lease is free after {DURATION} s",
        retry_after=DURATION,
    )


@contextmanager
def hold_restore(
    reader: ports.ClusterReader,
    writer: ports.ClusterWriter,
    reporter: ports.Reporter,
    *,
    namespace: str,
    holder: str,
    is_dead: Callable[[str], bool],
) -> Iterator[Callable[[], None]]:
    """Holds the Lease; yields a check that raises LeaseLost. Raises Waiting if another has it.

    A holder that ``is_dead`` knows loses it at once; any other one that died, after `DURATION`.
    """
    where = namespace if reader.get(kinds.NAMESPACES, namespace) is not None else _FALLBACK
    if where != _FALLBACK and reader.get(kinds.LEASES, LEASE, namespace=_FALLBACK) is not None:
        # A restore that began before the installation holds that one until it ends.
        _acquire(writer, _FALLBACK, holder, is_dead)
        writer.release_lease(_FALLBACK, LEASE, holder)
    _acquire(writer, where, holder, is_dead)
    with keep_lease(
        writer,
        reporter,
        namespace=where,
        name=LEASE,
        holder=holder,
        lost_hint="it stopped where it was; restore again, it goes on from there",
    ) as check:
        yield check


def _acquire(
    writer: ports.ClusterWriter, where: str, holder: str, is_dead: Callable[[str], bool]
) -> None:
    held_by = writer.acquire_lease(where, LEASE, holder, seconds=DURATION)
    if held_by != holder and is_dead(held_by):
        held_by = writer.acquire_lease(where, LEASE, holder, seconds=DURATION, take_from=held_by)
    if held_by != holder:
        raise waiting(_tell(held_by, where))


def _tell(held_by: str, where: str) -> str:
    """``laptop/4711`` of ``laptop/4711@…`` is what a person needs of a holder's name."""
    who, _, _ = held_by.partition("@")
    return f"another restore is at work: {who} holds the Lease {where}/{LEASE}"
