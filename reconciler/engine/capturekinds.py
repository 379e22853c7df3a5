"""The kinds of one capture, learned from one discovery after another.

A run takes a while, and definitions come and go meanwhile. So kinds are discovered again after the
lists: one that came is listed as well, one that went is a gap, and so is a group that no discovery
told whole, whatever each said of it. A gap of what would not be captured anyway is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from reconciler.capture import quiet
from reconciler.capture.choice import Choice
from reconciler.model.objects import Gap, Resource
from reconciler.model.run import LeftOutKind

_DEFINITIONS = "customresourcedefinition.apiextensions.k8s.io"
_WENT = "its definition was deleted while the run captured: what it had is not known"
_CAME = "its definition came at the end of the run: the next run captures it"

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

    def learn(self, resources: Iterable[Resource], failed: Iterable[Gap]) -> list[Resource]:
        """One discovery; returns what is to be listed and was not known before."""
        self._now = set()
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
        return [kind for kind in self._listed.values() if kind.folder == _DEFINITIONS]

    def gaps(self, unlisted: Iterable[Resource] = ()) -> Iterator[Gap]:
        """After the last discovery; ``unlisted`` are new kinds of it."""
        for group, gaps in sorted((self._failed or {}).items()):
            if not self._choice.group_left_out(group):
                yield from sorted(set(gaps))
        for key, resource in sorted(self._listed.items()):
            if key not in self._now and resource.group not in self._failing:
                yield _gap(resource, _WENT)
        for resource in unlisted:
            yield _gap(resource, _CAME)

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
