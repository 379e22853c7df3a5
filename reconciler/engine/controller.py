"""The controller's loop: fetch → parse → observe → plan → apply, and a report that always comes:
the policies' objects in the cluster (`reconciler.engine.mirror`), then the log.

Level-triggered: a cycle knows nothing of the one before but the revision that the cluster
remembers for it, and what it need not read again, which changes no answer. A fault in any step
leaves the schedules as they are; what the error says of what happens next
(`reconciler.model.errors`) decides when the next cycle begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from reconciler import policy, ports
from reconciler.engine import finishjobs, mirror, observe, ownleases
from reconciler.engine.applying import STATE, Applier, Done, Memory, read_state
from reconciler.engine.keeper import Keeper, stand_back
from reconciler.engine.refusals import Refusals
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model import jsonform, kinds
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Bug, Interrupted, Problem, Transient, Waiting
from reconciler.model.plan import Desired, History, Observed, Plan
from reconciler.model.policy import BackupPolicy, ParsedFiles
from reconciler.model.store import PolicyFiles
from reconciler.plan.cronjob import APPLIED, Place
from reconciler.plan.mirrorfacts import Outcome, trouble_of
from reconciler.plan.rewinds import messages_by_policy
from reconciler.plan.schedules import plan_schedules

_FIRST_BACKOFF = 5.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One installation and the world it lives in."""

    config: Config
    place: Place
    holder: str
    source: ports.PolicySource
    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    reporter: ports.Reporter
    clock: ports.Clock
    stopped: Callable[[], bool] = lambda: False
    parse: Callable[[Mapping[str, bytes], Config], ParsedFiles] = policy.parse_files
    """Keeps, between cycles, what files say that did not change."""
    known: mirror.Known = lambda: None
    """Namespaces and claims of a watch, which save a cycle from listing them."""
    refusals: Refusals = field(default_factory=Refusals)
    """What of the policies' objects is not taken; kept between cycles, so that none writes."""
    absence: mirror.Absence = field(default_factory=mirror.Absence)
    """Kept between cycles, too."""
    program: str = ""
    """Program and version: another one may render the same Config otherwise."""

    @property
    def keeper(self) -> Keeper:
        """Who this is, and all that its schedules are made by but the policies."""
        made_by = (self.config.to_json(), self.place.config_map, self.program)
        return Keeper(self.holder, jsonform.digest(made_by))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one cycle knows so far; each step fills in its part."""

    last: str = ""
    memory: Memory = field(default_factory=Memory)
    files: PolicyFiles | None = None
    desired: Desired | None = None
    observed: Observed | None = None
    plan: Plan | None = None
    done: tuple[Done, ...] = ()
    failed_step: str = ""
    error: BackstayError | None = None
    look: mirror.Look = field(default_factory=mirror.Look)
    leases: tuple[Mapping[str, Any], ...] | None = None
    """Those that `ownleases` reads; None where it has not."""
    mirrored: mirror.Mirrored | None = None
    """What came of the policies' objects in the cluster; None where nobody came to them."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems of the revision."""
        return self.desired.problems if self.desired else ()

    @property
    def policies(self) -> tuple[BackupPolicy, ...]:
        """The revision's good policies."""
        return self.desired.parsed.policies if self.desired else ()

    @property
    def exit_code(self) -> int:
        """Of ``controller --once``: 0 done, 4 problems in the policies, else the error's."""
        if self.error is not None:
            return self.error.exit_code or 1
        if self.problems:
            return 4
        return 1 if any(done.error for done in self.done) else 0


Step = Callable[[Setting, Cycle], Cycle]


def fetch(setting: Setting, cycle: Cycle) -> Cycle:
    """Reads what is remembered, and the newest revision against it."""
    memory = _remembered(setting)
    last = memory.revision
    return replace(cycle, last=last, memory=memory, files=setting.source.fetch(last or None))


def _remembered(setting: Setting) -> Memory:
    return read_state(
        setting.reader.get(kinds.CONFIG_MAPS, STATE, namespace=setting.place.namespace)
    )


def parse(setting: Setting, cycle: Cycle) -> Cycle:
    """Every file, all problems."""
    files = _known(cycle.files)
    parsed = setting.parse(files.files, setting.config)
    problems = (*files.problems, *parsed.problems)
    if not files.path_found:
        path = setting.config.policy_source.path or "/"
        problems += (
            Problem(
                file=path,
                line=1,
                column=1,
                message=f"this folder is not in {files.revision}",
                hint="correct policySource.path in Config, or bring the folder back",
            ),
        )
    return replace(cycle, desired=Desired(parsed, problems, setting.config.grants))


def observe_own(setting: Setting, cycle: Cycle) -> Cycle:
    """Backstay's own namespace; each list is complete, or this raises."""
    lists = (
        tuple(observe.read_all(setting.reader, kind, dict, namespace=setting.place.namespace))
        for kind in (kinds.CRON_JOBS, kinds.CONFIG_MAPS, kinds.JOBS)
    )
    return replace(cycle, observed=Observed(*lists))


def plan(setting: Setting, cycle: Cycle) -> Cycle:
    """Pure: see `reconciler.plan.schedules`."""
    made = plan_schedules(
        _known(cycle.desired),
        _known(cycle.observed),
        _history(setting, cycle),
        setting.config,
        place=setting.place,
        now=setting.clock.now(),
    )
    return replace(cycle, plan=made)


def _history(setting: Setting, cycle: Cycle) -> History:
    files = _known(cycle.files)
    return History(
        revision=files.revision,
        descends=files.descends,
        last=cycle.last,
        path=setting.config.policy_source.path,
        path_found=files.path_found,
        message=files.message or "",
        has_message=files.message is not None,
        begun=cycle.memory.approved_by(files.revision),
    )


PLANNING: tuple[tuple[str, Step], ...] = (
    ("fetch", fetch),
    ("parse", parse),
    ("observe", observe_own),
    ("plan", plan),
)


def make_plan(setting: Setting) -> Cycle:
    """All steps but the one that writes; raises what stops them."""
    cycle = Cycle()
    for _, step in PLANNING:
        cycle = step(setting, cycle)
    return cycle


def apply(setting: Setting, cycle: Cycle) -> Cycle:
    """Writes what the plan says, and nothing, not even the Lease, where it says nothing.

    The plan only says that there is something to write. What is written is planned again under
    the Lease, from the same revision: Git may be slow, and nobody waits for it under the Lease.
    Raises Waiting where another has changed schedules since this cycle looked: that controller may
    know a newer revision, which is for the next cycle to fetch.
    """
    planned = _known(cycle.plan)
    if planned.empty and not planned.remember:
        return cycle
    _stand_back(setting, cycle.memory)
    applier = _applier(setting)
    with applier.lease(setting.place.namespace) as hold:
        again = observe_own(setting, cycle)
        hold()
        if _written(_known(again.observed)) != _written(_known(cycle.observed)) or (
            _remembered(setting) != cycle.memory
        ):
            raise Waiting(
                "the schedules were changed by another since this cycle looked",
                hint="the next cycle begins at once, with the newest revision",
                retry_after=1,
            )
        again = plan(setting, again)
        return replace(again, done=applier.apply(_known(again.plan), hold, cycle.memory))


def _stand_back(setting: Setting, memory: Memory) -> None:
    """Raises StoodBack while another controller keeps the schedules by another Config."""
    stand_back(setting.reader, setting.place.namespace, setting.keeper, memory.keeper)


def _applier(setting: Setting) -> Applier:
    return Applier(
        writer=setting.writer,
        reporter=setting.reporter,
        clock=setting.clock,
        keeper=setting.keeper,
        stopped=setting.stopped,
    )


def _written(observed: Observed) -> frozenset[tuple[str, str]]:
    """The schedules that are there, each with the hash of all that a controller has set in it."""
    return frozenset(
        (raw["metadata"]["name"], (raw["metadata"].get("annotations") or {}).get(APPLIED, ""))
        for raw in observed.cron_jobs
    )


def look(setting: Setting, cycle: Cycle) -> Cycle:
    """The policies' objects as they are now, with what they ask for; raises Interrupted only."""
    return replace(cycle, look=mirror.look(setting.reader, setting.place.namespace))


STEPS = (("look", look), *PLANNING, ("apply", apply))


def _mirror(setting: Setting, cycle: Cycle) -> Cycle:
    """Shows in the cluster what is in force, also after a cycle that failed."""
    if setting.stopped() or isinstance(cycle.error, Interrupted | Waiting):
        return cycle
    try:
        if cycle.look.mirrors is not None:
            leases = ownleases.read_leases(setting.reader, setting.place.namespace)
            cycle = replace(cycle, leases=leases)
        if cycle.look.mirrors is not None and cycle.error is not None:
            # What was seen before it failed may be half of the truth.
            cycle = replace(cycle, observed=observe_own(setting, cycle).observed)
        own = mirror.Mirror(
            config=setting.config,
            namespace=setting.place.namespace,
            reader=setting.reader,
            applier=_applier(setting),
            as_left=functools.partial(_as_left, setting, cycle),
            may_write=lambda: _stand_back(setting, _remembered(setting)),
            known=setting.known,
            refusals=setting.refusals,
            absence=setting.absence,
        )
        return replace(cycle, mirrored=own.mirror(cycle.look, _outcome(setting, cycle)))
    except Interrupted as error:
        return replace(cycle, failed_step=cycle.failed_step or "mirror", error=cycle.error or error)
    except BackstayError as error:
        return replace(cycle, mirrored=mirror.Mirrored(why=error.message, hint=error.hint))
    except Exception as error:  # noqa: BLE001 - told as a bug; the schedules are as they should be
        bug = explain_unexpected(error, setting.reporter, ended="the mirroring of policies")
        return replace(cycle, mirrored=mirror.Mirrored(why=bug.message, hint=bug.hint))


def _as_left(setting: Setting, cycle: Cycle) -> bool:
    """Whether the schedules are what this cycle found, and has made of it.

    Where they are not, another controller knows a newer revision. What is being deleted says
    nothing of that: its finalizers keep it for a while.
    """
    left = dict(_written(_known(cycle.observed)))
    for done in cycle.done:
        change = done.change
        if done.error is None and change.object.kind == kinds.CRON_JOBS.kind:
            left.pop(change.object.name, None)
            if change.body is not None:
                left[change.object.name] = change.body["metadata"]["annotations"][APPLIED]
    found = list(
        observe.read_all(setting.reader, kinds.CRON_JOBS, dict, namespace=setting.place.namespace)
    )
    going = {r["metadata"]["name"] for r in found if r["metadata"].get("deletionTimestamp")}
    here = dict(_written(Observed(cron_jobs=tuple(found))))
    if any(left.get(name) != here.get(name) for name in (left.keys() | here.keys()) - going):
        return False
    if cycle.error is not None:
        return True  # it shows what the cluster holds, of whatever revision
    return _remembered(setting).revision in (cycle.last, _known(cycle.files).revision)


def _outcome(setting: Setting, cycle: Cycle) -> Outcome:
    observed = cycle.observed or Observed()
    alarms = None if cycle.leases is None else messages_by_policy(cycle.leases)
    if cycle.error is not None:
        trouble = trouble_of(cycle.failed_step, cycle.error)
        return Outcome(observed=observed, trouble=trouble, alarms=alarms)
    return Outcome(
        alarms=alarms,
        observed=observed,
        desired=cycle.desired,
        history=_history(setting, cycle),
        plan=cycle.plan,
        refused={done.change.policy: done.error for done in cycle.done if done.error},
    )


def _finish(setting: Setting, cycle: Cycle) -> None:
    """Sees to hooks that a dead run has left open, also after a cycle that failed."""
    if setting.stopped() or isinstance(cycle.error, Interrupted):
        return
    maps = cycle.observed.config_maps if cycle.observed else ()
    finishjobs.FinishJobs(
        config=setting.config,
        place=setting.place,
        holder=setting.holder,
        reader=setting.reader,
        writer=setting.writer,
        reporter=setting.reporter,
        clock=setting.clock,
        mirrors=cycle.look.mirrors or (),
        leases=cycle.leases,
        hooks_known=finishjobs.have_hooks(cycle.look.mirrors or (), cycle.policies, maps),
    ).start()


def run_cycle(setting: Setting, tell: Callable[[Cycle], None]) -> Cycle:
    """All steps; ``tell`` always gets the result, with the error that ended it, if any."""
    cycle = Cycle()
    for name, step in STEPS:
        try:
            if setting.stopped():
                raise Interrupted(f"asked to stop before the step {name}")
            cycle = step(setting, cycle)
        except BackstayError as error:
            cycle = replace(cycle, failed_step=name, error=error)
            break
        except Exception as error:  # noqa: BLE001 - told as a bug; the schedules stay, the loop too
            bug = explain_unexpected(error, setting.reporter, ended="the cycle")
            cycle = replace(cycle, failed_step=name, error=bug)
            break
    cycle = _mirror(setting, cycle)
    _finish(setting, cycle)
    tell(cycle)
    return cycle


def run_controller(
    prepare: Callable[[], Setting],
    tell: Callable[[Cycle], None],
    *,
    pause: Callable[[float], bool],
    jitter: Callable[[], float],
    reporter: ports.Reporter,
) -> None:
    """Cycles until ``pause`` (seconds to wait) says True: it is time to stop.

    ``prepare`` is asked before each cycle, because Config and credentials may have changed; what
    it raises is told as a cycle that failed, a bug too. ``jitter`` gives a factor around 1 for the
    interval.
    """
    failures = 0
    interval = 60.0
    while True:
        try:
            setting = prepare()
        except BackstayError as error:
            cycle = Cycle(failed_step="config", error=error)
            tell(cycle)
        except Exception as error:  # noqa: BLE001 - as in a step: the loop goes on
            bug = explain_unexpected(error, reporter, ended="the cycle")
            cycle = Cycle(failed_step="config", error=bug)
            tell(cycle)
        else:
            interval = float(setting.config.policy_source.interval)
            cycle = run_cycle(setting, tell)
        failures = failures + 1 if isinstance(cycle.error, Transient) else 0
        if isinstance(cycle.error, Interrupted):
            return
        if pause(delay(cycle.error, interval, failures) * jitter()):
            return


def delay(error: BackstayError | None, interval: float, failures: int) -> float:
    """Seconds until the next cycle, by what the error says happens next.

    What is Stalled waits for somebody's change, and looking for it is what a cycle is.
    """
    if isinstance(error, Waiting):
        return min(error.retry_after, interval)
    if isinstance(error, Transient):
        return min(_FIRST_BACKOFF * 2.0 ** min(failures - 1, 10), interval)
    return interval


def _known(value: _T | None) -> _T:
    if value is None:
        raise Bug("a step ran before the one that it builds on")
    return value
