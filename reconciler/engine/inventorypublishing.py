"""Publishes the inventory on ``inventory/<cluster>``: when something changed, and not often.

Runs after a cycle, never under the Lease, and never raises: schedules don't depend on it. A look at
the cluster costs six lists whatever its size, at most every `INTERVAL`; between two looks nothing
is asked. Git gets a commit with the files that changed, or nothing. Once in `HEARTBEAT` the head
file is written all the same, so that a reader can tell an unchanged cluster from a dead controller.

The loop's own thread waits for it: a look of more than `LONGEST` is given up between two requests,
with nothing written, and begun again later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from reconciler import ports
from reconciler.capture.canonical import blob_id
from reconciler.engine.clusterbranch import load_cluster_branch
from reconciler.engine.context import policy_branch
from reconciler.engine.history import StoreReader
from reconciler.engine.inventory import inventory_branch, observe_inventory
from reconciler.engine.pointdigest import Budget, digest_policy, policy_tips
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.errors import (
    BackstayError,
    ForeignCluster,
    InvalidInput,
    Transient,
)
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.store import Delete, FileChange, Write
from reconciler.plan import inventoryfiles
from reconciler.plan.inventory import About
from reconciler.plan.inventoryfiles import HEAD, POINTS, PolicyPoints

INTERVAL = timedelta(minutes=15)
HEARTBEAT = timedelta(days=1)
_RETRY = timedelta(minutes=5)
LONGEST = timedelta(minutes=5)
_READING = timedelta(seconds=30)
_AT_ONCE = 50
"""Points files that are in memory at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where it reads and writes; each opened for one look and closed after it."""

    reader: ports.ClusterReader
    inventory: Callable[[], AbstractContextManager[ports.ManifestStore]]
    manifests: Callable[[], AbstractContextManager[StoreReader]]
    reporter: ports.Reporter
    clock: ports.Clock
    stopped: Callable[[], bool] = lambda: False

    def check(self, begun: datetime) -> None:
        """Raises where a look that began then is not to go on."""
        if self.clock.now() - begun > LONGEST:
            raise Transient(
                f"the look took longer than {LONGEST.total_seconds() / 60:.0f} minutes, and was"
                " given up: nothing was written",
                hint="the API server or the Git server is slow; schedules don't depend on it",
            )


@dataclass(frozen=True, slots=True)
class _Branch:
    """The branch as it is; without a head before the first time."""

    name: str
    tip: str | None
    tree: Mapping[str, str]
    head: Inventory | None = None


class InventoryPublisher:
    """Remembers between cycles when to look again, and which records are digested already."""

    def __init__(self) -> None:
        self._due: datetime | None = None
        self._failures = 0
        self._tips: dict[str, str] | None = None
        """Policy → the tip that its file on the branch has; None: not known in this process."""
        self._left: str | None = None
        """The branch's tip as the last look left it: `_tips` holds for no other."""

    def publish(self, sources: Sources, about: About) -> None:
        """One look, if it is time for one. Never raises; tells what came of it."""
        now = sources.clock.now()
        # What is further away than ever is a clock that was set back.
        if self._due is not None and now < self._due <= now + INTERVAL:
            return
        try:
            self._due = self._look(sources, replace(about, taken=now.replace(microsecond=0)), now)
            self._failures = 0
        except BackstayError as error:
            self._failed(sources, error)
        except Exception as error:  # noqa: BLE001 - told as a bug; the loop goes on
            bug = explain_unexpected(error, sources.reporter, ended="publishing the inventory")
            self._failed(sources, bug)

    def _failed(self, sources: Sources, error: BackstayError) -> None:
        self._tips = None
        self._failures += 1
        pause = min(_RETRY * self._failures, INTERVAL)
        # From now on: the look itself may have taken longer than the pause.
        self._due = sources.clock.now() + pause
        first = error.problems[0] if isinstance(error, InvalidInput) and error.problems else None
        sources.reporter.warning(
            "inventory not published",
            reason=error.reason,
            error=str(first) if first else error.message,
            hint=error.hint,
            retry_in=f"{int(pause.total_seconds())}s",
        )

    def _look(self, sources: Sources, about: About, now: datetime) -> datetime:
        """Publishes what changed; when to look again."""
        with sources.inventory() as store:
            branch = _read_branch(store, about.cluster)
            if branch.head is not None and branch.head.taken is not None:
                due = branch.head.taken + INTERVAL
                if now < due <= now + INTERVAL:
                    # This process has just begun, and the one before it has looked already.
                    return due
            if not about.revision and branch.head is not None:
                # A cycle that did not come so far changes nothing of what is in force.
                about = replace(about, revision=branch.head.revision)
            check = partial(sources.check, now)
            check()
            observed = observe_inventory(sources.reader, about, check=check)
            _check_owner(sources, branch, observed)
            observed, files = _readable(sources, branch, observed)
            changes = [*_changed_namespaces(branch, files)]
            if branch.tip != self._left:
                # Somebody deleted the branch, or put something else there, or Config has another
                # repository: only what is on it now counts.
                self._tips = None
            check()
            tips, points = self._digest(sources, store, branch, about.cluster, check)
            changes += points
            check()
            if changes or _head_changed(branch, observed):
                changes.append(Write(HEAD, inventoryfiles.render_head(observed)))
                self._left = _publish(sources, store, branch, changes, now)
            else:
                self._left = branch.tip
            self._tips = tips
        return now + INTERVAL

    def _digest(
        self,
        sources: Sources,
        store: ports.ManifestStore,
        branch: _Branch,
        cluster: str,
        check: Callable[[], None],
    ) -> tuple[dict[str, str], list[FileChange]]:
        """The tips that are digested then, and the points files that change.

        Where the manifest store can't be read, what is published stays as it is.
        """
        known = self._tips if self._tips is not None else _published_tips(store, branch, check)
        try:
            with sources.manifests() as manifests:
                return _digest_all(sources, store, manifests, branch, cluster, known)
        except BackstayError as error:
            sources.reporter.warning(
                "recovery points not digested",
                reason=error.reason,
                error=error.message,
                hint=error.hint,
            )
            return known, []


def _read_branch(store: ports.ManifestStore, cluster: str) -> _Branch:
    name = inventory_branch(cluster)
    tip = store.tip(name)
    if tip is None:
        return _Branch(name, None, {})
    tree = store.tree(tip)
    data = store.read(tip, [HEAD]).get(HEAD)
    head = inventoryfiles.read_head(data, where=f"{name}:")[0] if data is not None else None
    return _Branch(name, tip, tree, head)


def _check_owner(sources: Sources, branch: _Branch, observed: Inventory) -> None:
    """Raises ForeignCluster where the branch is another cluster's, unless that was adopted."""
    head = branch.head
    if head is None or head.uid == observed.uid:
        return
    with sources.manifests() as manifests:
        marker = load_cluster_branch(manifests, observed.cluster).marker
    if marker is not None and marker.uid == observed.uid:
        return
    raise ForeignCluster(
        f"{branch.name} was written by the cluster with uid {head.uid}, and this one has uid"
        f" {observed.uid}; nothing was written",
        hint="two clusters with one name: give each its own cluster.name in Config; if this one"
        " replaces the other, say so once: backstay adopt",
    )


def _readable(
    sources: Sources, branch: _Branch, observed: Inventory
) -> tuple[Inventory, dict[str, bytes]]:
    """Without the namespaces that readers would refuse, and the whole branch with them; the files.

    What lies in a namespace is its tenants', who must not be able to stop the inventory of all.
    """
    good: list[NamespaceInventory] = []
    files: dict[str, bytes] = {}
    for part in observed.namespaces:
        path, data = inventoryfiles.render_namespace(part)
        try:
            if branch.tree.get(path) != blob_id(data):
                inventoryfiles.read_namespace(path, data)
        except InvalidInput as error:
            sources.reporter.warning(
                "namespace not in the inventory",
                namespace=part.namespace.name,
                reason=error.reason,
                error=str(error.problems[0]) if error.problems else error.message,
                hint="the error names what nobody can read; change that object",
            )
            continue
        good.append(part)
        files[path] = data
    return replace(observed, namespaces=tuple(good)), files


def _changed_namespaces(branch: _Branch, files: Mapping[str, bytes]) -> Iterator[FileChange]:
    """All but the head and the points."""
    for path, data in files.items():
        if branch.tree.get(path) != blob_id(data):
            yield Write(path, data)
    for path in branch.tree:
        if path != HEAD and path not in files and not path.startswith(f"{POINTS}/"):
            yield Delete(path)


def _head_changed(branch: _Branch, observed: Inventory) -> bool:
    old, new = branch.head, observed.taken
    if old is None or old.taken is None or new is None:
        return True
    if not timedelta() <= new - old.taken < HEARTBEAT:
        return True  # also where it would be of times to come: a clock was set back
    same = inventoryfiles.render_head(replace(observed, taken=old.taken))
    return branch.tree.get(HEAD) != blob_id(same)


def _published_tips(
    store: ports.ManifestStore, branch: _Branch, check: Callable[[], None]
) -> dict[str, str]:
    """What the files on the branch say; one that can't be read is made anew."""
    paths = [path for path in branch.tree if path.startswith(f"{POINTS}/")]
    found = {}
    for start in range(0, len(paths), _AT_ONCE):
        check()
        files = store.read(str(branch.tip), paths[start : start + _AT_ONCE])
        for path, data in files.items():
            try:
                points = inventoryfiles.read_points(path, data)
            except InvalidInput:
                continue
            found[points.policy] = points.tip
    return found


def _digest_all(
    sources: Sources,
    store: ports.ManifestStore,
    manifests: StoreReader,
    branch: _Branch,
    cluster: str,
    known: Mapping[str, str],
) -> tuple[dict[str, str], list[FileChange]]:
    budget = Budget(sources.clock, sources.clock.now() + _READING, stopped=sources.stopped)
    tips = policy_tips(manifests, cluster)
    digested: dict[str, str] = {}
    changes: list[FileChange] = []
    for policy, tip in tips.items():
        digested[policy] = known.get(policy, "")
        if digested[policy] == tip or budget.spent:
            continue
        path = inventoryfiles.points_path(policy)
        old = _published_points(store, branch, policy, path)
        new = digest_policy(manifests, policy_branch(cluster, policy), old, budget)
        digested[policy] = new.tip
        data = inventoryfiles.render_points(new)
        if branch.tree.get(path) != blob_id(data) and _is_good(sources, path, data):
            changes.append(Write(path, data))
    wanted = {inventoryfiles.points_path(policy) for policy in tips}
    changes += [
        Delete(path) for path in branch.tree if path.startswith(f"{POINTS}/") and path not in wanted
    ]
    return digested, changes


def _is_good(sources: Sources, path: str, data: bytes) -> bool:
    """Whether readers will take the file: somebody may have pushed a record with any name in it."""
    try:
        inventoryfiles.read_points(path, data)
    except InvalidInput as error:
        sources.reporter.warning(
            "recovery points not digested",
            reason=error.reason,
            error=error.message,
            hint="look who else writes to the manifest store: backstay doctor",
        )
        return False
    return True


def _published_points(
    store: ports.ManifestStore, branch: _Branch, policy: str, path: str
) -> PolicyPoints:
    if branch.tip is None or path not in branch.tree:
        return PolicyPoints(policy=policy)
    try:
        return inventoryfiles.read_points(path, store.read(branch.tip, [path])[path])
    except InvalidInput:
        return PolicyPoints(policy=policy)


def _publish(
    sources: Sources,
    store: ports.ManifestStore,
    branch: _Branch,
    changes: list[FileChange],
    now: datetime,
) -> str:
    """The commit that is the branch's tip then."""
    names = sorted(change.path.removesuffix(".json") for change in changes if change.path != HEAD)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    subject = f"Inventory: {shown or 'no change but the time'}"
    commit = store.commit(branch.name, branch.tip, changes, f"{subject}\n", when=now)
    store.push({branch.name: commit})
    sources.reporter.event(
        "inventory published", branch=branch.name, commit=commit, files=len(changes)
    )
    return commit
