"""The versions of an object: which runs wrote it, on a policy's branch and its former names'."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler.capture import message, paths
from reconciler.engine.history import lineage
from reconciler.engine.reading import (
    HistoryReader,
    change_at,
    compare_texts,
    gone_at,
    read_quietly,
    record_at,
)
from reconciler.model.errors import Refused, Stalled
from reconciler.model.store import Commit
from reconciler.plan.blame import Origin, Version, attribute
from reconciler.plan.diff import ObjectChange
from reconciler.plan.objectnames import ObjectName


def run_of(commit: Commit) -> tuple[str, datetime]:
    """The run that made a commit and its start; else an empty string and the commit's time."""
    try:
        found = message.parse_summary(commit.trailers)
    except Stalled:
        found = None
    return (found.run_id, found.started) if found is not None else ("", commit.time)


def object_versions(
    store: HistoryReader, branch: str, path: str, *, shallow: bool = False
) -> Iterator[Version]:
    """Newest first. Where a policy was renamed, its branch goes on where the former one ended."""
    last: Version | None = None
    for part in lineage(store, branch):
        known = {point.commit for point in part.points}
        for touched in store.changes(part.branch, [path]):
            commit = touched.commit
            if part.branch != branch and commit.sha not in known:
                continue
            cut = shallow and not commit.parents
            file = touched.files[0]
            found = Version(commit, *run_of(commit), file.old, file.new, cut)
            if last is not None:
                yield from _joined(last, found)
            last = found
    if last is not None:
        yield last


def _joined(newer: Version, older: Version) -> Iterator[Version]:
    """The first commit of a branch adds what its former one had: that is no change."""
    if newer.commit.parents or newer.old is not None or older.new is None:
        yield newer
    elif older.new != newer.new:
        yield replace(newer, old=older.new)


def version_changes(
    store: HistoryReader, path: str, versions: Iterable[Version]
) -> Iterator[tuple[Version, ObjectChange]]:
    """Each version with the fields that it changed."""
    chosen = list(versions)
    pairs = [(one.old, one.new) for one in chosen if one.old and one.new]
    texts = store.blobs([sha for pair in pairs for sha in pair])
    for version in chosen:
        if version.new is None:
            record = record_at(store, version.commit.sha) if version.run else None
            yield version, gone_at(path, record)
            continue
        if version.old is None:
            yield version, change_at(path, version.kind)
            continue
        _, old = next(texts)
        _, new = next(texts)
        yield version, compare_texts(path, old, new)


def blame_object(
    store: HistoryReader, branch: str, path: str, commit: str, *, shallow: bool = False
) -> tuple[Origin, ...]:
    """Since when each field of the object has the value that it has in a commit."""
    newer = _newer_than(store, branch, commit)
    versions = [
        version
        for version in object_versions(store, branch, path, shallow=shallow)
        if version.commit.sha not in newer
    ]
    texts = store.blobs([version.new for version in versions if version.new])
    try:
        return attribute((version, _manifest(path, version, texts)) for version in versions)
    except RecursionError:
        raise Refused(f"{path} is nested too deeply to be looked through") from None


def _newer_than(store: HistoryReader, branch: str, commit: str) -> Collection[str]:
    found: set[str] = set()
    for part in lineage(store, branch):
        for one in store.log(part.branch):
            if one.sha == commit:
                return found
            found.add(one.sha)
    return found


def _manifest(
    path: str, version: Version, texts: Iterator[tuple[str, bytes]]
) -> dict[str, Any] | None:
    if version.new is None:
        return None
    _, text = next(texts)
    found = read_quietly(path, text)
    if found is None:
        raise Refused(
            f"{path} in commit {version.commit.sha} is no manifest that can be read",
            hint=f"somebody else wrote it; see it with: git show {version.commit.sha[:10]}",
        )
    return found


def paths_in(store: HistoryReader, commit: str, wanted: ObjectName) -> list[str]:
    """Where the object lies in a commit's tree; more than one where its kind lacks a group."""
    folder = paths.part_path(wanted.namespace)
    return sorted(path for path in store.tree(commit, folder) if _is(path, wanted))


def hint_alike(store: HistoryReader, commits: Iterable[str], wanted: ObjectName) -> str:
    """What else has the name that is asked for: mostly the kind is misspelt, ``deploy``."""
    folder = paths.part_path(wanted.namespace)
    end = f"/{paths.encode(wanted.name)}{paths.SUFFIX}"
    found = {path for sha in commits for path in store.tree(sha, folder) if path.endswith(end)}
    places = {place.folder for path in found if (place := paths.parse_path(path)) is not None}
    if not places:
        return (
            "the objects of a run: git ls-tree -r --name-only COMMIT; a kind is written"
            " deployment.apps, deployment or deployments"
        )
    names = sorted(str(replace(wanted, kind=kind)) for kind in places)
    return f"of that name there is: {', '.join(names)}"


def find_path(store: HistoryReader, branch: str, commit: str, wanted: ObjectName) -> str:
    """Where the object lies in the tree of ``commit``, or once upon a time lay on the branch.

    Raises Refused where it never was, or is one of several.
    """
    found = paths_in(store, commit, wanted)
    if not found:
        folder = paths.part_path(wanted.namespace)
        touched = (file for one in store.changes(branch, [folder]) for file in one.files)
        found = sorted({file.path for file in touched if _is(file.path, wanted)})
    if len(found) == 1:
        return found[0]
    if found:
        kinds = ", ".join(path.split("/")[1] for path in found)
        raise Refused(f"{wanted} is one of several: {kinds}", hint="give the whole kind")
    raise Refused(
        f"{branch} never had an object {wanted}",
        hint=hint_alike(store, [commit], wanted),
    )


def _is(path: str, wanted: ObjectName) -> bool:
    place = paths.parse_path(path)
    if place is None or not wanted.is_kind(place.folder):
        return False
    name = path.rpartition("/")[2].removesuffix(paths.SUFFIX)
    return place.namespace == wanted.namespace and name == paths.encode(wanted.name)
