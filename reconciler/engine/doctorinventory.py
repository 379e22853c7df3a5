"""Asks for the published inventory: is it this cluster's, and does anybody still publish it?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from reconciler.engine.doctorfacts import Facts, failed, failed_with
from reconciler.engine.inventory import inventory_branch, read_head
from reconciler.engine.inventorypublishing import HEARTBEAT, INTERVAL
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError
from reconciler.model.inventory import Inventory

_ID = "git/inventory"
_LATE = HEARTBEAT + timedelta(hours=1)
"""The head is written once a day, also where nothing changes."""


def ask_inventory(facts: Facts) -> Iterator[Finding]:
    """The head of the branch; nothing is asked where Config has no inventory."""
    wanted = facts.config.inventory
    if wanted is None:
        hint = "pull requests are planned without what the cluster has: docs/inventory.md"
        yield Finding(id=_ID, level=Level.INFO, message="Config names none", hint=hint)
        return
    branch = inventory_branch(facts.config.cluster.name)
    where = f"{wanted.url} {branch}"
    try:
        store = facts.ports.inventory()
        head = read_head(store, facts.config.cluster.name)
    except BackstayError as error:
        yield failed_with(facts, _ID, error, where, wanted.credentials)
        return
    yield _judge(facts, head, where)
    try:
        store.check_push(branch)
    except BackstayError as error:
        yield failed(_ID, error, where)


def _judge(facts: Facts, head: Inventory | None, where: str) -> Finding:
    logs = f"what the controller says of it: kubectl -n {facts.namespace} logs"
    hint = f"{logs} deploy/backstay-controller | grep inventory"
    if head is None or head.taken is None:
        message = f"nothing is published; the controller does it within {INTERVAL}"
        return Finding(id=_ID, level=Level.WARNING, where=where, message=message, hint=hint)
    taken = head.taken.strftime("%Y-%m-%dT%H:%M:%SZ")
    if facts.uid and head.uid != facts.uid:
        message = f"was written by another cluster: its uid is {head.uid}, this one's {facts.uid}"
        hint = "if this cluster replaces it: backstay adopt; if not, give this one another name"
        return Finding(id=_ID, level=Level.PROBLEM, where=where, message=message, hint=hint)
    if facts.ports.clock.now() - head.taken > _LATE:
        message = f"was published last on {taken}, and should be every day at least"
        return Finding(id=_ID, level=Level.WARNING, where=where, message=message, hint=hint)
    return Finding(id=_ID, level=Level.OK, where=where, message=f"published on {taken}")
