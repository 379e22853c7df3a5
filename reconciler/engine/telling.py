"""What a cycle of the controller did, told through a Reporter: always, and not again and again.

A minute's cycle that found what the last one found is one line. Everything is told in full when
it differs, and once an hour, so that somebody who looks at a log finds what is still wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from reconciler import ports
from reconciler.engine.applying import describe
from reconciler.engine.controller import Cycle
from reconciler.engine.keeper import StoodBack
from reconciler.model.errors import BackstayError, Interrupted, InvalidInput, Problem, Waiting
from reconciler.model.plan import Action
from reconciler.plan.mirrorstatus import text_of

_MOST = 200
"""Lines about one thing in a cycle: a hostile repository must not fill the disk with logs."""
_REPEAT = timedelta(hours=1)
Story = tuple[object, ...]


class Teller:
    """Remembers what it said last; the controller's decisions never depend on it."""

    def __init__(self, reporter: ports.Reporter, clock: ports.Clock) -> None:
        self._reporter = reporter
        self._clock = clock
        self._told: Story = ()
        self._when: datetime | None = None
        self._failing: datetime | None = None
        """Since when no cycle has ended well."""

    def __call__(self, cycle: Cycle) -> None:
        """The end always; problems and refusals when they are new or an hour old."""
        story = _story(cycle)
        now = self._clock.now()
        # A clock that was set back must not silence it until it has caught up.
        old = self._when is None or not timedelta() <= now - self._when < _REPEAT
        if old or story != self._told:
            self._told, self._when = story, now
            self._tell_state(cycle)
        self._tell_end(cycle, self._since(cycle, now))

    def _since(self, cycle: Cycle, now: datetime) -> str:
        """When the trouble began that this cycle is in; tells its end. Never of times to come.

        To let another controller go first is no trouble, and ends none.
        """
        gives_way = isinstance(cycle.error, Waiting) and not isinstance(cycle.error, StoodBack)
        if isinstance(cycle.error, Interrupted) or (gives_way and self._failing is None):
            return ""
        began = min(self._failing or now, now)
        if cycle.error is None:
            if self._failing is not None:
                self._reporter.event("cycles end well again", failed_since=text_of(began))
            self._failing = None
        else:
            self._failing = began
        return text_of(began)

    def _tell_state(self, cycle: Cycle) -> None:
        for problem in cycle.problems[:_MOST]:
            self._tell_problem(problem)
        self._tell_more("problem", cycle.problems)
        self._tell_mirrors(cycle)
        if cycle.plan is None:
            return
        skipped = [change for change in cycle.plan.changes if change.action is Action.SKIPPED]
        for change in skipped[:_MOST]:
            self._reporter.warning("skipped", **describe(change), hint=change.hint)
        self._tell_more("skipped", skipped)
        for brake in cycle.plan.brakes:
            self._reporter.warning("nothing is deleted", why=brake)
        if cycle.plan.approval:
            self._reporter.warning(
                "these deletions wait for approval", line=f"Backstay-Approve: {cycle.plan.approval}"
            )
        for note in cycle.plan.notes:
            self._reporter.event("note", text=note)

    def _tell_mirrors(self, cycle: Cycle) -> None:
        mirrored = cycle.mirrored
        if mirrored is None:
            return
        if mirrored.why:
            self._reporter.warning("policies not shown", why=mirrored.why, hint=mirrored.hint)
        for name in mirrored.foreign[:_MOST]:
            self._reporter.warning(
                "a BackupPolicy that is not Backstay's has no effect",
                policy=name,
                hint="policies come from Git; remove the object, and put the policy there",
            )

    def _tell_more(self, what: str, found: Sequence[object]) -> None:
        if len(found) > _MOST:
            more = len(found) - _MOST
            self._reporter.warning("and more", of=what, count=more, hint="see: backstay plan")

    def _tell_problem(self, problem: Problem) -> None:
        self._reporter.warning(
            "problem",
            where=f"{problem.file}:{problem.line}:{problem.column}",
            error=problem.message,
            hint=problem.hint,
            path=problem.path,
        )

    def _tell_end(self, cycle: Cycle, since: str) -> None:
        fields: dict[str, object] = {}
        if cycle.files is not None:
            fields["revision"] = cycle.files.revision
        if cycle.plan is not None:
            fields |= {name: count for name, count in cycle.plan.counts().items() if count}
        if cycle.problems:
            fields["problems"] = len(cycle.problems)
        if cycle.error is None:
            self._reporter.event("cycle done", **fields)
        elif isinstance(cycle.error, Interrupted):
            self._reporter.event("cycle ended early", why=cycle.error.message, **fields)
        else:
            fields |= {"since": since} if since else {}
            self._tell_error(cycle.error, cycle.failed_step, fields)

    def _tell_error(self, error: BackstayError, step: str, fields: dict[str, object]) -> None:
        if isinstance(error, InvalidInput):
            for problem in error.problems:
                self._tell_problem(problem)
        self._reporter.warning(
            "cycle failed",
            step=step,
            reason=error.reason,
            error=error.message,
            hint=error.hint,
            **fields,
        )


def _story(cycle: Cycle) -> Story:
    """Everything that makes two cycles different to a reader."""
    skipped: tuple[object, ...] = ()
    if cycle.plan is not None:
        skipped = tuple(c for c in cycle.plan.changes if c.action is Action.SKIPPED)
        skipped += cycle.plan.brakes
    revision = cycle.files.revision if cycle.files else ""
    error = cycle.error.message if cycle.error else ""
    mirrored = cycle.mirrored
    shown = (mirrored.why, mirrored.foreign) if mirrored else ()
    return (revision, cycle.problems, skipped, error, shown)
