"""What policies may use, by the folder of the policy repository that they lie in.

Grants stand in Config, never in the policy repository. A file has the grant of the deepest granted
folder that it lies in, and no other: grants do not add up. A file outside of them all has none.
Folders are compared character by character. One that only looks like a granted folder, in other
letters or another Unicode form, has no grant at all: it would fall back to the folder above,
which may well be allowed more.
"""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reconciler.model.policy import NamespaceSelector

_ANY = ("*",)
_SYSTEM = "kube-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What policies below ``path`` may use; without a word everything but hooks.

    ``path`` is relative to the repository's root, without slashes at its ends; empty is the root.
    Names are globs.
    """

    path: str = ""
    admin: bool = False
    """Whether Repositories and Profiles are taken from here."""
    namespaces: tuple[str, ...] = _ANY
    repositories: tuple[str, ...] = _ANY
    hooks: tuple[str, ...] = ()
    """Namespaces in which hooks may run."""
    restore_targets: tuple[str, ...] = _ANY
    shortest_interval: int = 0
    """Seconds between two runs of a policy, at least."""
    max_policies: int | None = None
    keep_in_clear: bool = False
    """Whether ``manifests.redact.keep`` may leave in clear what a default rule redacts."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The folders of ``path``."""
        return tuple(self.path.split("/")) if self.path else ()

    @property
    def folder(self) -> str:
        """``path`` for people."""
        return self.path or "."

    def __str__(self) -> str:
        return f"the grant of folder {self.folder}"

    @property
    def limit(self) -> tuple[str, ...] | None:
        """Globs of namespaces, None where there is no limit."""
        return None if "*" in self.namespaces else self.namespaces

    def may_hook(self, namespace: str, *, own_namespace: str) -> bool:
        """Whether a hook may run in a namespace, or in all that a glob selects: never in
        Backstay's own.

        In ``kube-*`` only where a granted glob speaks of it on purpose, as ``kube-system`` does.
        A glob that does not begin with ``kube-`` selects none of them, and selects Backstay's own
        namespace only where it is its name (`reconciler.plan.selection`).
        """
        guarded = namespace.startswith(_SYSTEM)
        if namespace == own_namespace or (
            guarded and fnmatch.fnmatchcase(own_namespace, namespace)
        ):
            return False
        globs = [glob for glob in self.hooks if covers((glob,), namespace)]
        if guarded:
            return any(glob.startswith(_SYSTEM) for glob in globs)
        return bool(globs)


EVERYTHING = (Grant(admin=True),)
"""Of an installation that says nothing of grants."""

ASSUMED = (Grant(admin=True, hooks=(*_ANY, f"{_SYSTEM}*"), keep_in_clear=True),)
"""What a plan goes by that was given no Config: nothing is refused that some grant may allow."""


def find_grant(grants: Iterable[Grant], file: str) -> Grant | None:
    """The grant of a file, by its path from the repository's root; None where it has none."""
    known = tuple(grants)
    return None if why_none(known, file) else _deepest(known, _folders(file))


def why_none(grants: Sequence[Grant], file: str) -> str:
    """Why a file has no grant; empty where it has one."""
    if tuple(grants) == EVERYTHING:
        return ""
    if {"", ".", ".."} & set(file.split("/")):
        return "a path with an empty folder, . or .. has no grant"
    folders = _folders(file)
    deepest = _deepest(grants, folders)
    named = len(deepest.steps) if deepest else 0
    for grant in grants:
        if why := _twin(grant, folders, named):
            return why
    return "" if deepest else f"no grant is for folder {'/'.join(folders) or '.'}"


def _folders(file: str) -> tuple[str, ...]:
    return tuple(file.split("/")[:-1])


def _deepest(grants: Iterable[Grant], folders: tuple[str, ...]) -> Grant | None:
    holding = [grant for grant in grants if folders[: len(grant.steps)] == grant.steps]
    return max(holding, key=lambda grant: len(grant.steps), default=None)


def _twin(grant: Grant, folders: tuple[str, ...], named: int) -> str:
    """Why a folder could be taken for a granted one; the first ``named`` are granted literally."""
    for number, (granted, found) in enumerate(zip(grant.steps, folders, strict=False)):
        if granted == found:
            continue
        if number < named:
            return ""
        if _folded(granted) == _folded(found):
            return f"folder {found} is not {granted}, which {grant} names, and looks like it"
        if not found.isascii():
            # Of the letters that look alike there are too many to know.
            return f"folder {found}, beside {granted} of {grant}, has letters that may look alike"
        return ""
    return ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip(" .")


def limit_selector(
    selector: NamespaceSelector, grants: Sequence[Grant], source: str
) -> NamespaceSelector:
    """What a policy of ``source`` (``teams/a/shop.yaml#0``) selects by today's grants.

    The compiled policy has the limit of the day when it was compiled. It may still be in force
    where the grant was narrowed since, and then it gets no more than both allow. Without a source
    (a policy that no file brought) it is left as it is.
    """
    file, _, _ = source.rpartition("#")
    if not file or tuple(grants) == EVERYTHING:
        return selector
    grant = find_grant(grants, file)
    if grant is None:
        return replace(selector, within=(), grant=selector.grant or file)
    if grant.limit is None:
        return selector
    if selector.within is None:
        return replace(selector, within=grant.limit, grant=grant.folder)
    # Of two lists of globs the names that both give: today's list, and the other one as well.
    both = tuple(glob for glob in selector.within if covers(grant.limit, glob))
    both += tuple(
        glob for glob in grant.limit if glob not in both and covers(selector.within, glob)
    )
    return replace(selector, within=both, grant=grant.folder)


def covers(granted: Iterable[str], glob: str) -> bool:
    """Whether every name that ``glob`` matches is granted; False also where that can't be told."""
    literal = _prefix(glob)
    for given in granted:
        if given in ("*", glob):
            return True
        if literal == glob and fnmatch.fnmatchcase(glob, given):
            return True
        prefix = _prefix(given)
        if given == f"{prefix}*" and literal.startswith(prefix):
            return True
    return False


def may_meet(granted: Iterable[str], glob: str) -> bool:
    """Whether ``glob`` may match a granted name: False only where none can be."""
    literal = _prefix(glob)
    if literal == glob:
        return any(fnmatch.fnmatchcase(glob, given) for given in granted)
    for given in granted:
        prefix = _prefix(given)
        if prefix == given:
            if fnmatch.fnmatchcase(given, glob):
                return True
        elif prefix.startswith(literal) or literal.startswith(prefix):
            return True
    return False


def _prefix(glob: str) -> str:
    """What stands before the first ``*``, ``?`` or ``[``; all of a plain name."""
    ends = [found for found in (glob.find(mark) for mark in "*?[") if found >= 0]
    return glob[: min(ends)] if ends else glob
