"""Which namespace goes where: read from the command line, held against a recovery point. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from reconciler.model.errors import UsageError
from reconciler.plan.restore import Stored

Names = Mapping[str, str]
"""Captured namespace → target."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def parse_mapping(given: Iterable[str]) -> dict[str, str]:
    """``shop=shop2`` → {shop: shop2}; raises UsageError for what can't be meant."""
    names: dict[str, str] = {}
    for text in given:
        source, equals, target = text.partition("=")
        if not equals or not _NAME.fullmatch(source) or not _NAME.fullmatch(target):
            raise UsageError(
                f"--map-namespace {text}: it is not FROM=TO with two names of namespaces",
                hint="--map-namespace shop=shop2",
            )
        if source == target:
            raise UsageError(
                f"--map-namespace {text}: that is no other namespace",
                hint="leave it out: what is not mapped goes to where it was",
            )
        if names.get(source, target) != target:
            raise UsageError(f"--map-namespace: {source} has two targets", hint="restore twice")
        if target in (taken for other, taken in names.items() if other != source):
            raise UsageError(
                f"--map-namespace: {target} is the target of two namespaces",
                hint="what has the same name in both would be lost; give each its own",
            )
        names[source] = target
    return names


def check_mapping(
    names: Names,
    captured: Collection[str],
    *,
    guarded: str,
    only: Collection[str] = (),
    newest: Callable[[str], str] = lambda _: "",
) -> None:
    """Raises UsageError unless it fits the recovery point.

    ``guarded`` is Backstay's namespace; ``only`` those that are restored, empty for all; ``newest``
    says in which other point a namespace is, or gives an empty text.
    """
    known = f"this recovery point has: {', '.join(sorted(captured)) or 'none'}"
    for source, target in names.items():
        if source not in captured:
            raise UsageError(
                f"--map-namespace {source}={target}: the recovery point has no namespace {source}",
                hint=newest(source) or known,
            )
        if only and source not in only:
            raise UsageError(
                f"--map-namespace {source}={target}: {source} is not among those of --namespace",
                hint=f"add --namespace {source}, or leave --namespace out",
            )
        if target in captured:
            raise UsageError(
                f"--map-namespace {source}={target}: {target} is in the recovery point itself",
                hint=f"give the copy a name of its own; {known}",
            )
        if target == guarded or target.startswith("kube-"):
            raise UsageError(
                f"--map-namespace {source}={target}: nothing is copied into {target}",
                hint="it belongs to the cluster, or to Backstay itself",
            )


def captured_namespaces(stored: Iterable[Stored]) -> frozenset[str]:
    """Namespaces that the recovery point has anything of."""
    found = set()
    for one in stored:
        if one.folder == "namespace":
            found.add(one.ref.name)
        elif one.ref.namespace:
            found.add(one.ref.namespace)
    return frozenset(found)
