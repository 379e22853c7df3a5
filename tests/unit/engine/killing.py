"""Ports of a process that is killed at a call of its choice, as ``kill -9`` would do it.

Each call has a name of its own: what it does, to what, and how often that was done before. So a
point is the same one in every run, whatever the threads' order. From its death on no call of the
process reaches the world: handlers and ``finally`` run in Python, and change nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

from reconciler.adapters.copies import CopyMover
from reconciler.adapters.movers import JobMover
from reconciler.engine.context import RunPorts
from reconciler.engine.restore import RestoreResult
from reconciler.model.objects import ObjectRef, Resource
from reconciler.plan.rights import RESTORE
from tests.unit.engine.run_world import SYSTEM, RunWorld

WRITES = (
    "apply", "create", "delete", "acquire_lease", "release_lease", "initialise", "backup_stream",
    "push",
)  # fmt: skip
"""Calls that change the world: before and after them is not the same."""
_SILENT = frozenset({"now", "progress", "event", "warning"})


class Killed(BaseException):
    """The process is gone: nothing that catches this can do anything."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The ``nth`` (from 0) call of this name; before it has an effect, or after."""

    call: str
    nth: int
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.call} #{self.nth}"


class Life:
    """One process: counts its calls, and ends at ``point`` if there is one.

    With an ``error`` it does not end there: the call raises that, once.
    """

    def __init__(self, point: Point | None = None, error: Exception | None = None) -> None:
        self._point = point
        self._error = error
        self.struck = False
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.dead = False
        self.calls: list[Point] = []
        """Every call in its order, as the point before it."""

    def call(self, name: str, do: Callable[[], Any]) -> Any:
        """Does it, unless the process is dead; dies before or after it if this is the point."""
        with self._lock:
            if self.dead:
                raise Killed
            here = Point(name, self._seen[name])
            self._seen[name] += 1
            self.calls.append(here)
            hit = self._point is not None and (self._point.call, self._point.nth) == (
                here.call,
                here.nth,
            )
            if hit and self._point is not None and not self._point.after:
                self._strike()
        made = do()
        if hit:
            self._strike()
        if self.dead:
            raise Killed
        return made

    def _strike(self) -> None:
        self.struck = True
        if self._error is not None:
            raise self._error
        self.dead = True
        raise Killed

    def ports(self, world: RunWorld) -> RunPorts:
        """All of them, living and dying with this process."""
        given = world.ports()
        mortal: dict[str, Any] = {
            found.name: Mortal(self, getattr(given, found.name)) for found in fields(given)
        }
        copies = partial(CopyMover, home=SYSTEM)
        made = copies if isinstance(given.mover, CopyMover) else JobMover
        mortal["mover"] = made(mortal["reader"], mortal["writer"])
        return replace(given, **mortal)


class Mortal:
    """One port, or what a port gave, of a process that may die."""

    def __init__(self, life: Life, inner: Any) -> None:
        self._life = life
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method
        if name in _SILENT:
            return lambda *args, **kwargs: None if self._life.dead else method(*args, **kwargs)

        def call(*args: Any, **kwargs: Any) -> Any:
            def do() -> Any:
                made = method(*args, **kwargs)
                return list(made) if isinstance(made, Iterator) else made

            made = self._life.call(_name(name, args, kwargs), do)
            if isinstance(made, list):
                return iter(made)
            if type(made).__name__ in ("FakeVolumeBackend", "FakeOpenCommit"):
                return Mortal(self._life, made)
            return made

        return call


def live(world: RunWorld, life: Life, *, holder: str, **asked: Any) -> RestoreResult:
    """One process of a restore, planned and executed; ``asked`` as in `RunWorld.restore`."""
    given = world.ports()
    allowed = world.entitled(RESTORE)
    reader, writer = Mortal(life, allowed), Mortal(life, allowed)
    restore = world.restore(
        holder=holder,
        **asked,
        reader=reader,
        writer=writer,
        store=Mortal(life, given.store),
        mover=JobMover(reader, writer),
        keyring=Mortal(life, given.keyring),
        reporter=Mortal(life, given.reporter),
        clock=Mortal(life, given.clock),
    )
    return restore.execute(restore.plan())


def _name(method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    words = [_word(arg) for arg in args] + [_word(kwargs.get("namespace", ""))]
    return " ".join([method, *filter(None, words)])


def _word(arg: Any) -> str:
    """What tells two calls of a method apart, and is the same in every run."""
    match arg:
        case str():
            return arg if len(arg) < 30 else ""
        case Resource():
            return arg.plural
        case ObjectRef():
            return f"{arg.kind}/{arg.namespace}/{arg.name}"
        case {"kind": kind, "metadata": metadata}:
            return f"{kind}/{metadata.get('namespace', '')}/{metadata['name']}"
        case Mapping():
            return ",".join(sorted(map(str, arg)))
        case _ if is_dataclass(arg) and hasattr(arg, "namespace"):
            return str(arg.namespace)
    return ""
