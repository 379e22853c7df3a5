"""How a run tells a mover what to do, and how the mover tells what came of it.

Down: the arguments of ``backstay mover``, and the environment with the repository's URL and keys.
Up: one JSON object in the container's termination message, which holds 4096 bytes and is on the
pod before the pod's end is, so whoever sees the end sees the result. ``errors`` are cut to fit;
``errorCount`` is always the true number. A reader skips fields that it does not know.

A container that dies without writing leaves the end of its log there (or nothing): no result.
"""

from __future__ import annotations

import dataclasses
import json

from reconciler.model import jsonform
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask

LIMIT = 4096
"""Bytes of a termination message (core/v1 Container.terminationMessagePath)."""
PATH = "/dev/termination-log"
FOLDER = "/data"
"""A claim is mounted at, and restored to, ``/data/<claim>``; its snapshots carry that path."""
_MARK = "backstayMover"
_VERSION = 1
_LONGEST_TEXT = 600


def volume_path(claim: str) -> str:
    """Where a claim's data is in a mover, and what its snapshots call it."""
    return f"{FOLDER}/{claim}"


def render_arguments(task: MoveTask) -> tuple[str, ...]:
    """The arguments of the image's command; nothing in them is secret."""
    head = ("mover", task.kind.value, "--claim", task.claim, "--host", task.host)
    run = ("--policy", task.policy, "--run", task.run_id)
    if task.kind is MoveKind.RESTORE:
        return (*head, *run, "--snapshot", task.snapshot)
    excludes = (word for pattern in task.exclude for word in ("--exclude", pattern))
    return (*head, *run, *excludes)


def render_result(result: MoveResult) -> str:
    """At most `LIMIT` bytes of JSON in one line."""
    cut = dataclasses.replace(
        result,
        message=_text(result.message),
        errors=tuple(_text(text) for text in result.errors),
    )
    while True:
        text = _dumps(cut)
        if len(text.encode()) <= LIMIT:
            return text
        if cut.errors:
            cut = dataclasses.replace(cut, errors=cut.errors[:-1])
        else:
            cut = dataclasses.replace(cut, message=cut.message[: len(cut.message) // 2])


def parse_result(text: str) -> MoveResult | None:
    """The result in a termination message; None if there is none in it."""
    try:
        data = jsonform.loads_object(text)
    except ValueError:
        return None
    if data.pop(_MARK, None) != _VERSION:
        return None
    known = {jsonform.camel(field.name) for field in dataclasses.fields(MoveResult)}
    try:
        found = jsonform.from_json(MoveResult, {k: v for k, v in data.items() if k in known})
    except ValueError:
        return None
    # A container that ended is not running, whatever it wrote.
    return None if found.state is MoveState.RUNNING else found


def _text(text: str) -> str:
    """Cut, and without the halves of characters that odd file names bring along."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


def _dumps(result: MoveResult) -> str:
    data = {_MARK: _VERSION, **jsonform.to_json(result)}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
