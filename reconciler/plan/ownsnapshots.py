"""Which restic snapshots were made by a run of ours, and what they hold. Pure.

Maintenance removes nothing else. A snapshot is ours only where host, path and tags are all exactly
as a run writes them: one more tag (somebody's `keep`), another path, the host of another cluster,
and it is a stranger's.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.model import moverprotocol
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.volumes import ResticSnapshot

SECRETS_PATH = "/secrets.jsonl"
BUNDLE_PATH = "/run.bundle"
DELIVERED_PATH = "/delivered.txt"
BUNDLE_TAG = "bundle"
_RUN = re.compile(r"(?P<policy>.+)-(?P<time>\d{8}-\d{6})-[0-9a-f]{5}", re.ASCII)
_TIME = "%Y%m%d-%H%M%S"


class Kind(enum.Enum):
    """What a snapshot of ours holds."""

    VOLUME = "volume"
    SECRETS = "Secrets"
    BUNDLE = "bundle"
    DELIVERED = "delivery"
    """Says which bundles were delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A snapshot of ours. ``runs`` is one, but for a delivery, which is of those it names."""

    kind: Kind
    policy: str
    runs: tuple[str, ...]
    namespace: str
    claim: str = ""

    @property
    def what(self) -> str:
        """``claim shop/files``, ``Secrets``, …"""
        return f"claim {self.namespace}/{self.claim}" if self.claim else self.kind.value

    @property
    def began(self) -> datetime:
        """When the last of its runs did."""
        return max(began(run) for run in self.runs)


def began(run_id: str) -> datetime:
    """When a run began, by its id; raises ValueError where it is none."""
    found = _RUN.fullmatch(run_id)
    if found is None:
        raise ValueError(f"not a run id: {run_id!r}")
    return datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC)


def recognise(snapshot: ResticSnapshot, *, cluster: str, namespaces: Collection[str]) -> Own | str:
    """What it holds, or the reason why it is not taken for ours.

    ``namespaces``: those that the restic repository is for.
    """
    whose, _, namespace = snapshot.host.partition("/")
    if whose != cluster or namespace not in namespaces:
        return f"no run of this cluster made it: its host is {snapshot.host or 'empty'}"
    tags: dict[str, list[str]] = {}
    for tag in snapshot.tags:
        name, _, value = tag.partition(":")
        tags.setdefault(name, []).append(value)
    if len(snapshot.paths) != 1:
        return "no run of ours made it: it has not one path"
    found = _of_cluster(snapshot.paths[0], tags) if namespace == CLUSTER_NAMESPACE else None
    if found is None and namespace != CLUSTER_NAMESPACE:
        found = _of_volume(snapshot.paths[0], tags, namespace)
    return found or f"no run of ours tags it so: {', '.join(snapshot.tags) or 'no tag'}"


def _of_volume(path: str, tags: dict[str, list[str]], namespace: str) -> Own | None:
    policy, run, claim = (_only(tags, name) for name in ("policy", "run", "claim"))
    known = sorted(tags) == ["claim", "policy", "run"]
    if not (known and claim and path == moverprotocol.volume_path(claim) and _is_of(run, policy)):
        return None
    return Own(kind=Kind.VOLUME, policy=policy, runs=(run,), namespace=namespace, claim=claim)


def _of_cluster(path: str, tags: dict[str, list[str]]) -> Own | None:
    policy, run, names = _only(tags, "policy"), _only(tags, "run"), sorted(tags)
    delivered = tuple(tags.get("delivered", ()))
    bundled = tags.get(BUNDLE_TAG) == [""]
    runs: tuple[str, ...] = (run,)
    if path == SECRETS_PATH and names == ["policy", "run"]:
        kind = Kind.SECRETS
    elif path == BUNDLE_PATH and bundled and names == [BUNDLE_TAG, "policy", "run"]:
        kind = Kind.BUNDLE
    elif path == DELIVERED_PATH and bundled and names == [BUNDLE_TAG, "delivered", "policy"]:
        kind, runs = Kind.DELIVERED, delivered
    else:
        return None
    if not all(_is_of(one, policy) for one in runs):
        return None
    return Own(kind=kind, policy=policy, runs=runs, namespace=CLUSTER_NAMESPACE)


def _only(tags: dict[str, list[str]], name: str) -> str:
    values = tags.get(name, [])
    return values[0] if len(values) == 1 else ""


def _is_of(run_id: str, policy: str) -> bool:
    found = _RUN.fullmatch(run_id)
    if found is None or not policy or found["policy"] != policy:
        return False
    try:
        began(run_id)
    except ValueError:
        return False
    return True
