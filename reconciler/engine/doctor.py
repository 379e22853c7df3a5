"""Runs the checks of `backstay doctor`, one after the other, whatever any of them does.

It changes nothing: it is given what reads, and no port that writes. A check that raises, or takes
longer than its time, is told as `unknown` and ends no other one; what a later check needs of it is
then unknown too, never fine. Checks run in threads of their own that nobody waits for at the end,
so that an interrupt is an interrupt.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.engine.doctorfacts import DoctorPorts, Facts
from reconciler.model.doctor import Checkup, Finding, Level
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.plan.doctor import in_order

LIMIT = 60.0
"""Seconds that one check may take; a restic repository is one check."""
_POLL = 0.05

Task = Callable[[Facts], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Checks that are asked together. ``needs`` are steps whose facts it uses.

    ``split`` gives, in place of ``ask``, tasks that may run beside each other, each with the
    place that it asks about.
    """

    name: str
    ids: tuple[str, ...]
    ask: Task | None = None
    split: Callable[[Facts], Sequence[tuple[str, Task]]] | None = None
    needs: tuple[str, ...] = ()
    at_a_time: int = 4


@dataclass(slots=True)
class _Running:
    """One task in its thread."""

    where: str
    found: list[Finding] = field(default_factory=list)
    error: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self, task: Task, facts: Facts) -> None:
        def work() -> None:
            try:
                for finding in task(facts):
                    self.found.append(finding)
            except Exception as error:  # noqa: BLE001 - told; no check may end the others
                self.error = error
            finally:
                self.ended.set()

        threading.Thread(target=work, name=f"check {self.where}", daemon=True).start()


def examine(
    steps: Sequence[Step],
    ports: DoctorPorts,
    facts: Facts,
    *,
    groups: Iterable[str] = (),
    limit: float = LIMIT,
) -> Checkup:
    """Asks everything, or what belongs to ``groups``. Raises Interrupted when it is stopped."""
    wanted = frozenset(groups)
    chosen = choose(steps, wanted)
    told: list[Finding] = []
    try:
        for number, step in enumerate(chosen):
            ports.reporter.progress("checking", number, len(chosen))
            told += _ask(step, facts, ports, limit)
    except Interrupted as error:
        raise Interrupted(f"interrupted after {number} of {len(chosen)} checks") from error
    finally:
        ports.reporter.progress("checking", len(chosen), len(chosen))
    kept = in_order(one for one in told if not wanted or one.group in wanted)
    return Checkup(
        cluster=facts.config.cluster.name,
        uid=facts.uid,
        server=facts.server,
        who=facts.who,
        findings=kept,
    )


def choose(steps: Sequence[Step], groups: frozenset[str]) -> tuple[Step, ...]:
    """The steps of these groups and all that they need, in order; without groups every step."""
    by_name = {step.name: step for step in steps}
    names: set[str] = set()

    def add(step: Step) -> None:
        if step.name not in names:
            names.add(step.name)
            for needed in step.needs:
                add(by_name[needed])

    for step in steps:
        if not groups or groups & {name.partition("/")[0] for name in step.ids}:
            add(step)
    return tuple(step for step in steps if step.name in names)


def _ask(step: Step, facts: Facts, ports: DoctorPorts, limit: float) -> Iterator[Finding]:
    tasks: Sequence[tuple[str, Task]] = [("", step.ask)] if step.ask else []
    if step.split is not None:
        preparing = _Running("")
        found: list[tuple[str, Task]] = []
        split = step.split

        def prepare(known: Facts) -> Iterable[Finding]:
            found.extend(split(known))
            return ()

        preparing.start(prepare, facts)
        _wait([preparing], ports.stopped, limit)
        if (failed := _trouble(preparing, limit)) is not None:
            yield from _unknown(step, preparing, failed, "")
            return
        tasks = found
    for start in range(0, len(tasks), step.at_a_time):
        if len(tasks) > step.at_a_time:
            ports.reporter.progress(step.name, start, len(tasks))
        running = []
        for where, task in tasks[start : start + step.at_a_time]:
            one = _Running(where)
            one.start(task, facts)
            running.append(one)
        _wait(running, ports.stopped, limit)
        for one in running:
            failed = _trouble(one, limit)
            yield from tuple(one.found)
            if failed is not None:
                yield from _unknown(step, one, failed, one.where)
    if len(tasks) > step.at_a_time:
        ports.reporter.progress(step.name, len(tasks), len(tasks))


def _wait(running: Sequence[_Running], stopped: Callable[[], bool], limit: float) -> None:
    end = time.monotonic() + limit
    for one in running:
        while not one.ended.wait(_POLL):
            if stopped():
                raise Interrupted("interrupted")
            if time.monotonic() > end:
                break


def _trouble(one: _Running, limit: float) -> tuple[str, str] | None:
    """What kept a task from its end: message and hint."""
    if not one.ended.is_set():
        return f"no answer within {limit:.0f} s", "ask again; look at what is slow there"
    error = one.error
    if error is None:
        return None
    if isinstance(error, BackstayError):
        return error.message, error.hint
    # The text of a foreign exception has been masked by nobody.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return f"{type(error).__name__} in Backstay itself, {place}", "please report this"


def _unknown(step: Step, one: _Running, trouble: tuple[str, str], where: str) -> Iterator[Finding]:
    message, hint = trouble
    said = {found.id for found in one.found}
    # Where it has said something of each check already, that was of another place than this.
    for identifier in [name for name in step.ids if name not in said] or step.ids[:1]:
        yield Finding(id=identifier, level=Level.UNKNOWN, where=where, message=message, hint=hint)
