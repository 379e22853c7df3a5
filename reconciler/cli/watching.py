"""The watches of ``backstay controller``: each in a thread of its own. Wiring only."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from reconciler import ports
from reconciler.adapters.folderwatch import FolderWatch, folders_of
from reconciler.adapters.kube import KubeClient
from reconciler.adapters.kubewatch import KubeWatch
from reconciler.engine.controller import Setting
from reconciler.engine.instruments import Instruments
from reconciler.engine.noticing import Noticer
from reconciler.engine.reflector import Reflector
from reconciler.engine.waking import Waker
from reconciler.model import kinds
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.objects import Resource
from reconciler.plan.observe import claim_of, namespace_of

T = TypeVar("T")
_LOCAL = "file://"
_LAST_WORDS = 5.0
"""Seconds for a watch to end; its thread ends with the process in any case."""


class LateWatch:
    """A ClusterWatch whose cluster may not be there yet when the controller starts."""

    def __init__(self, connect: Callable[[], KubeClient]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._client: KubeClient | None = None
        self._watch: KubeWatch | None = None

    def requests(self) -> Mapping[str, int]:
        """Requests to the API server so far, by method."""
        return self._client.requests if self._client else {}

    def listing(
        self, resource: Resource, parse: Callable[[dict[str, Any]], T]
    ) -> tuple[list[T], str]:
        """As the port says."""
        return self._there().listing(resource, parse)

    def changes(self, resource: Resource, version: str) -> Iterator[ports.Happened]:
        """As the port says."""
        return self._there().changes(resource, version)

    def end(self) -> None:
        """Ends every watch."""
        if self._watch is not None:
            self._watch.end()

    def _there(self) -> KubeWatch:
        with self._lock:
            if self._watch is None:
                self._client = self._connect()
                self._watch = self._client.watch()
            return self._watch


@contextmanager
def applications(
    watch: LateWatch,
    waker: Waker,
    instruments: Instruments,
    *,
    stopped: threading.Event,
    reporter: ports.Reporter,
    clock: ports.Clock,
) -> Iterator[Noticer]:
    """Watches namespaces and claims, which wake the loop, while it lasts."""
    namespaces: Reflector[Namespace] = Reflector(
        watch, kinds.NAMESPACES, namespace_of,
        changed=lambda: waker.hint("namespaces"), reporter=reporter,
    )  # fmt: skip
    claims: Reflector[Claim] = Reflector(
        watch, kinds.CLAIMS, claim_of, changed=lambda: waker.hint("claims"), reporter=reporter
    )

    def known() -> tuple[tuple[Namespace, ...], tuple[Claim, ...]] | None:
        found = namespaces.known(), claims.known()
        if found[0] is None or found[1] is None:
            return None
        return found[0], tuple(claim for claim in found[1] if not claim.ours)

    threads = [
        threading.Thread(target=reflector.run, args=(stopped.wait,), name=name, daemon=True)
        for name, reflector in (("namespaces", namespaces), ("claims", claims))
    ]
    for thread in threads:
        thread.start()
    try:
        yield Noticer(
            known, reporter=reporter, clock=clock,
            counted=lambda found: instruments.publish(
                replace(instruments.figures, unprotected=found)
            ),
        )  # fmt: skip
    finally:
        stopped.set()
        watch.end()
        for thread in threads:
            thread.join(_LAST_WORDS)


class FolderHint:
    """Watches the policies where they lie on this machine; elsewhere it does nothing."""

    def __init__(self, waker: Waker, reporter: ports.Reporter) -> None:
        self._watch = FolderWatch(lambda: waker.hint("folder"))
        self._reporter = reporter
        self._told = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def begin(self, setting: Setting) -> Setting:
        """Before a cycle: what is there to be watched now."""
        source = setting.config.policy_source
        folders: tuple[Path, ...] = ()
        if source.url.startswith(_LOCAL):
            place = Path(unquote(source.url.removeprefix(_LOCAL)))
            folders = folders_of(place, source.path) if place.is_absolute() else ()
        why = self._watch.watch(folders)
        if why and why != self._told:
            self._reporter.warning(
                "folder not watched", why=why, hint="the timer finds what changes there"
            )
        self._told = why
        return setting


def summed(*counts: Callable[[], Mapping[str, int]]) -> Callable[[], Mapping[str, int]]:
    """Several counts of requests as one."""

    def total() -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for count in counts:
            found.update(count())
        return found

    return total
