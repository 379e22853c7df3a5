"""Which controller keeps the schedules: two with different Configs must not undo each other.

The Lease keeps two from writing at the same moment. That is enough for two with the same Config,
which want the same. Two that want different things would take turns for ever, one undoing what the
other has just done. So whoever writes leaves its name and the digest of its Config in ConfigMap
`backstay-state`, and one with another Config leaves everything as it is, the policies' objects too,
for as long as another controller's pod is there. This is asked only where there is something to
write, so it costs an idle cycle nothing. A change of Config that is meant does not wait: it comes
to the same pod, or to a new one once the old one is gone.

Where the pod that wrote last is gone, and several are there with another Config than the noted one,
one of them must win, or all would wait for each other: the successor of the pod that is gone, else
the oldest. What it writes first is its own Config; the others then go on or stand back as ever.

Pods are told by their label; a controller outside of pods holds nobody back.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler import ports
from reconciler.engine import observe
from reconciler.model import kinds, naming
from reconciler.model.errors import Refused, Waiting

_ASK_AGAIN = 60.0
_SELECTOR = f"{naming.COMPONENT}=controller"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who wrote last: its name in the Lease (``<pod>/<uid>``) and the digest of its Config."""

    holder: str = ""
    config: str = ""


class StoodBack(Waiting):
    """Another controller, with another Config, is at work here."""


def stand_back(reader: ports.ClusterReader, namespace: str, ours: Keeper, found: Keeper) -> None:
    """Raises StoodBack where another Config is in force and another controller is there."""
    if found.config in ("", ours.config) or found.holder == ours.holder:
        return
    living = _living(reader, namespace)
    others = [pod.holder for pod in living if pod.holder != ours.holder]
    if not others:
        return
    other = found.holder
    if other not in others:
        first = min(living, key=lambda pod: pod.rank(found.holder))
        if first.holder == ours.holder:
            return
        other = first.holder
    raise StoodBack(
        f"another controller, {other}, is there, and the schedules are kept by another Config",
        hint="one controller per namespace is enough: end one of them. When the pod"
        f" {other.partition('/')[0]} is gone, this one goes on with its own Config",
        retry_after=_ASK_AGAIN,
    )


@dataclass(frozen=True, slots=True)
class _Pod:
    holder: str
    created: str
    """As the API server writes times: they sort as text."""

    def rank(self, gone: str) -> tuple[bool, str, str]:
        """The lowest goes on where the pod of the holder ``gone`` is there no more."""
        return _deployment(self.holder) != _deployment(gone), self.created, self.holder


def _deployment(holder: str) -> str:
    """Its pods are called ``<Deployment>-<hash of its template>-<random>``."""
    return holder.partition("/")[0].rsplit("-", 2)[0]


def _living(reader: ports.ClusterReader, namespace: str) -> list[_Pod]:
    """Controllers whose pods run and are not told to end; who may not ask waits for nobody."""
    try:
        pods = observe.read_all(
            reader, kinds.PODS, dict, namespace=namespace, label_selector=_SELECTOR
        )
    except Refused:
        return []
    return [
        _Pod(
            f"{pod['metadata']['name']}/{pod['metadata'].get('uid', '')}",
            str(pod["metadata"].get("creationTimestamp", "")),
        )
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
        if (pod.get("status") or {}).get("phase") == "Running"
        and not pod["metadata"].get("deletionTimestamp")
    ]
