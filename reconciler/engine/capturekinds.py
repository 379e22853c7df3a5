"""The kinds of one capture, learned from one discovery after another.

A run takes a while, and definitions come and go meanwhile. So kinds are discovered again after the
lists: one that came is listed as well, one that went is a gap, and so is a group that no discovery
told whole, whatever each said of it. What discovery does not tell at all, and the cluster's own
objects promise (`promisedkinds`), is a gap too. A gap of what would not be captured anyway is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.capture import quiet
from reconciler.capture.choice import Choice
from reconciler.engine.promisedkinds import DEFINITIONS, Group, Promised, gap_of_kind
from reconciler.model.objects import Gap, Resource
from reconciler.model.run import LeftOutKind

_WENT = "its definition was deleted while the run captured: what it had is not known"
_CAME = "its definition came at the end of the run: the next run captures it"
_LATE = 10

Key = tuple[str, str]
"""(group, plural): a kind, whatever its preferred version is by now."""


class Kinds:
    """What is served, by folder, and what becomes of it."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._listed: dict[Key, Resource] = {}
        self._left_out: dict[str, str] = {}
        self._served: set[Resource] = set()
        self._now: set[Key] = set()
        self._failed: dict[str, list[Gap]] | None = None
        """Groups that no discovery told whole, with what the last one that named them said."""
        self._failing: set[str] = set()
        """Groups that the last one did not tell of."""
        self._groups: Collection[Group] = ()
        """What the last one told of, if only that it is empty."""
        self._promised = Promised()

    def see(self, resource: Resource, raw: Mapping[str, Any]) -> None:
        """A cluster-scoped object that was listed: it may promise a kind, or a group."""
        self._promised.see(resource, raw)

    def wait(
        self, discover: Callable[[], list[Resource]], sleep: Callable[[float], object]
    ) -> list[Resource]:
        """What ``discover`` finds new. Discovery tells of a new definition a little late: while it
        lacks one it is asked again, some seconds long."""
        for _ in range(_LATE):
            found = discover()
            if found or not any(self._untold()):
                return found
            sleep(1)
        return discover()

    def learn(
        self,
        resources: Iterable[Resource],
        failed: Iterable[Gap],
        groups: Collection[Group] = (),
    ) -> list[Resource]:
        """One discovery; returns what is to be listed and was not known before."""
        self._now, self._groups = set(), groups
        new = []
        resources = tuple(resources)
        self._learn_failed(failed, {resource.group for resource in resources})
        for resource in resources:
            key = (resource.group, resource.plural)
            self._now.add(key)
            self._served.add(resource)
            reason = self._choice.kind_left_out(resource)
            if reason is not None:
                self._left_out[resource.folder] = reason
            elif key not in self._listed:
                self._listed[key] = resource
                new.append(resource)
        return new

    def _learn_failed(self, failed: Iterable[Gap], told: set[str]) -> None:
        """By group, since each discovery may tell an outage in other words or of other versions;
        one that is not named any more was not told either."""
        now: dict[str, list[Gap]] = {}
        for gap in failed:
            now.setdefault(gap.group, []).append(gap)
        self._failing = set(now)
        if self._failed is None:
            self._failed = now
            return
        self._failed = {
            group: now.get(group, gaps)
            for group, gaps in self._failed.items()
            if group in now or group not in told
        }

    @property
    def definitions(self) -> list[Resource]:
        """The kind of CustomResourceDefinitions, where they are listed."""
        return [kind for kind in self._listed.values() if kind.folder == DEFINITIONS]

    def gaps(
        self,
        unlisted: Iterable[Resource] = (),
        captured: Callable[[], Collection[str]] = frozenset,
    ) -> Iterator[Gap]:
        """After the last discovery; ``unlisted`` are new kinds of it, ``captured`` the groups
        that the tree has something of."""
        for group, gaps in sorted((self._failed or {}).items()):
            if not self._choice.group_left_out(group):
                yield from sorted(set(gaps))
        for key, resource in sorted(self._listed.items()):
            if key not in self._now and resource.group not in self._failing:
                yield _gap(resource, _WENT)
        for resource in unlisted:
            yield _gap(resource, _CAME)
        for resource in self._untold():
            if (resource.group, resource.plural) not in self._listed:
                yield gap_of_kind(resource)
        yield from self._silent(captured)

    def _untold(self) -> Iterator[Resource]:
        for resource in self._promised.kinds(self._now):
            if resource.group not in self._failing and not self._choice.kind_left_out(resource):
                yield resource

    def _silent(self, captured: Callable[[], Collection[str]]) -> Iterator[Gap]:
        """Groups that a server is registered for, and of which nothing is told."""
        told = {group for group, _ in self._now}
        empty = self._promised.groups - told
        kept = empty & {*captured()} if empty else empty
        for gap in self._promised.gaps(self._groups, kept):
            if gap.group not in self._failing and not self._choice.group_left_out(gap.group):
                yield gap

    def left_out(self) -> tuple[LeftOutKind, ...]:
        """Kinds that are served and were not listed."""
        return tuple(
            LeftOutKind(kind=kind, reason=reason) for kind, reason in sorted(self._left_out.items())
        )

    def unselected(self, folder: str) -> str:
        """Why the policy leaves a kind out; empty where it does not, or `quiet` does."""
        if folder in quiet.KINDS:
            return ""
        return self._left_out.get(folder, "")

    def without_kind(self, globs: Iterable[str]) -> Iterator[str]:
        """Globs that no kind of a namespace has a name for; none while a group is not known."""
        if self._failed:
            return
        names = {name for kind in self._served if kind.namespaced for name in kind.names}
        for glob in globs:
            if not any(fnmatchcase(name, glob) for name in names):
                yield glob


def _gap(resource: Resource, reason: str) -> Gap:
    return Gap(group=resource.group, plural=resource.plural, folder=resource.folder, reason=reason)
