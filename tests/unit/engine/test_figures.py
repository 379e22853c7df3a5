"""What the controller measures, from what its cycles saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.figures import OUTCOMES, figures_of, outcome_of
from reconciler.engine.instruments import LONGEST_CYCLE, Instruments
from reconciler.engine.mirror import Look
from reconciler.model import naming
from reconciler.model.errors import BackstayError, Interrupted, Refused, Transient, Waiting
from reconciler.model.figures import MOST_POLICIES, Figures, PolicyFigures
from reconciler.model.policy import BackupPolicy, Kind, ParsedFiles
from reconciler.plan.cronjob import COMPONENT_POLICY, COMPONENT_RUN
from reconciler.policy.crds import make_crd
from tests.unit.engine.controller_world import BROKEN, ControllerWorld, files, policy_yaml

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)


class Meter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.cycles: list[tuple[str, float]] = []
        self.by: list[str] = []
        self.error: Exception | None = None

    def publish(self, figures: Figures) -> None:
        if self.error:
            raise self.error
        self.figures = figures

    def cycle(self, outcome: str, seconds: float) -> None:
        self.cycles.append((outcome, seconds))

    def woken(self, by: str) -> None:
        self.by.append(by)


class Scene:
    """Instruments around a controller in memory; ``time`` is the monotonic one."""

    def __init__(self) -> None:
        self.world = ControllerWorld()
        self.time = 1000.0
        self.meter = Meter()
        self.instruments = Instruments(
            self.meter,
            reporter=self.world.log,
            clock=self.world.clock,
            monotonic=lambda: self.time,
        )

    def cycle(self) -> Cycle:
        setting = self.instruments.begin(lambda: self.world.setting)
        self.time += 2.5
        cycle = self.world.cycle(source=setting.source)
        self.instruments.end(cycle)
        return cycle

    def refuse(self, error: BackstayError) -> None:
        """A cycle whose Config can't be read."""

        def prepare() -> Setting:
            raise error

        with pytest.raises(type(error)):
            self.instruments.begin(prepare)
        self.instruments.end(Cycle(failed_step="config", error=error))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def run_job(
    policy: str, name: str, began: str, ended: str = "", *, good: bool = True
) -> dict[str, Any]:
    """A run's Job of the 20th: ``began`` and ``ended`` are HH:MM; without an end it runs."""
    metadata = {
        "name": name,
        "namespace": "backstay-system",
        "uid": f"7c1e9000-{name}",
        "creationTimestamp": f"2026-11-20T{began}:00Z",
        "labels": {naming.COMPONENT: COMPONENT_RUN, naming.POLICY: policy},
        "annotations": {naming.POLICY: policy},
    }
    status: dict[str, Any] = {"startTime": f"2026-11-20T{began}:00Z"}
    if ended:
        when = f"2026-11-20T{ended}:00Z"
        kind = "Complete" if good else "Failed"
        status["conditions"] = [{"type": kind, "status": "True", "lastTransitionTime": when}]
        if good:
            status["completionTime"] = when
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": status}


def with_jobs(cycle: Cycle, *jobs: dict[str, Any]) -> Cycle:
    """The cycle, had it seen these Jobs."""
    assert cycle.observed is not None
    return replace(cycle, observed=replace(cycle.observed, jobs=jobs))


def shops_figures(before: Figures, cycle: Cycle) -> PolicyFigures:
    (shop,) = figures_of(before, cycle, cluster="prod-eu", now=NOW).policies
    return shop


def test_a_policys_figures_come_from_its_own_jobs(scene: Scene) -> None:
    policy = policy_yaml("shop").replace(b"spec:", b"spec:\n  objectives: {rpo: 26h}", 1)
    scene.world.source.push(files("mail", shop=policy))
    scene.cycle()
    for made in (
        run_job("shop", "one", "02:00", "02:10"),
        run_job("shop", "two", "03:00", "03:10"),
        run_job("shop", "x", "04:00", "04:10", good=False),
    ):
        scene.world.cluster.put(made)
    scene.cycle()
    mail, shop = scene.meter.figures.policies
    assert (mail.name, mail.last_success, mail.recovery_point, mail.rpo) == (
        "mail",
        None,
        None,
        None,
    )
    assert shop.recovery_point == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert shop.last_success == datetime(2026, 11, 20, 3, 10, tzinfo=UTC)
    assert shop.rpo == 26 * 3600
    assert shop.next_run == datetime(2026, 11, 22, 2, 17, tzinfo=UTC)
    assert scene.meter.figures.policy_count == 2


def test_i4_a_run_that_was_left_out_is_no_recovery_point(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.cycle()
    # Since 03:00 a run by hand holds the Lease; those of the schedule end well and do nothing.
    jobs = [
        run_job("shop", "good", "02:00", "02:10"),
        run_job("shop", "hangs", "03:00"),
        run_job("shop", "skipped-1", "04:00", "04:01"),
        run_job("shop", "skipped-2", "05:00", "05:01"),
    ]
    cycle = with_jobs(scene.world.cycle(), *jobs)
    assert cycle.observed is not None
    job = scene.world.cron_job("shop")
    job["status"] = {"lastSuccessfulTime": "2026-11-20T05:01:00Z"}
    cycle = replace(cycle, observed=replace(cycle.observed, cron_jobs=(job,)))
    shop = shops_figures(Figures(), cycle)
    assert shop.recovery_point == datetime(2026, 11, 20, 2, tzinfo=UTC)
    assert shop.last_success == datetime(2026, 11, 20, 2, 10, tzinfo=UTC)


def test_a_good_run_whose_job_is_gone_is_remembered(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.cycle()
    good = with_jobs(scene.world.cycle(), run_job("shop", "good", "02:00", "02:10"))
    before = figures_of(Figures(), good, cluster="prod-eu", now=NOW)
    hangs = with_jobs(good, run_job("shop", "hangs", "03:00"))
    shop = shops_figures(before, hangs)
    assert shop.recovery_point == datetime(2026, 11, 20, 2, tzinfo=UTC)
    assert shop.last_success == datetime(2026, 11, 20, 2, 10, tzinfo=UTC)
    fresh = shops_figures(Figures(), hangs)
    assert (fresh.recovery_point, fresh.last_success) == (None, None)


def test_a_new_process_knows_what_the_policys_object_says(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.cycle()
    mirror = {
        "metadata": {
            "name": "shop",
            "labels": {naming.COMPONENT: COMPONENT_POLICY, naming.POLICY: "shop"},
            "annotations": {naming.POLICY: "shop"},
        },
        "status": {"rpo": {"lastGood": "2026-11-19T02:00:00Z"}},
    }
    cycle = replace(with_jobs(scene.world.cycle()), look=Look(mirrors=(mirror,)))
    shop = shops_figures(Figures(), cycle)
    assert shop.recovery_point == datetime(2026, 11, 19, 2, tzinfo=UTC)
    assert shop.last_success is None


def test_a_policy_whose_document_broke_keeps_its_figures(scene: Scene) -> None:
    policy = policy_yaml("shop").replace(b"spec:", b"spec:\n  objectives: {rpo: 26h}", 1)
    scene.world.source.push(files("mail", shop=policy))
    scene.cycle()
    before = scene.meter.figures.policies
    scene.world.source.push(files("mail", shop=BROKEN))
    scene.cycle()
    found = scene.meter.figures
    assert found.policies == before
    assert (found.policy_count, found.problems) == (1, 2)


def test_a_policy_without_a_schedule_has_no_next_run(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.cycle()
    cycle = scene.world.cycle()
    assert cycle.observed is not None
    # Somebody else's CronJob has the name: the policy is blocked.
    cycle = replace(cycle, observed=replace(cycle.observed, cron_jobs=()))
    shop = shops_figures(Figures(), cycle)
    assert (shop.name, shop.next_run) == ("shop", None)


def test_a_suspended_policy_has_no_next_run(scene: Scene) -> None:
    policy = policy_yaml("shop").replace(b"spec:", b"spec:\n  suspend: true", 1)
    scene.world.source.push(files(shop=policy))
    scene.cycle()
    (shop,) = scene.meter.figures.policies
    assert shop.suspended
    assert shop.next_run is None


def test_revisions_seen_and_in_force_part_while_one_is_not_applied(scene: Scene) -> None:
    scene.world.source.push(files("mail", "shop"))
    scene.cycle()
    figures = scene.meter.figures
    assert figures.revision_seen == figures.revision_in_force != ""
    scene.world.source.push(files(mail=BROKEN))
    scene.cycle()
    later = scene.meter.figures
    assert later.revision_seen != later.revision_in_force == figures.revision_in_force
    assert (figures.problems, later.problems) == (0, 2)


def test_a_cycle_that_failed_keeps_what_was_known(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.cycle()
    before = scene.meter.figures
    scene.world.source.failures.append(Transient("away"))
    scene.cycle()
    assert scene.meter.figures == before
    assert scene.meter.cycles == [("done", 2.5), ("failed", 2.5)]


@pytest.mark.parametrize(
    ("cycle", "outcome"),
    [
        (Cycle(), "done"),
        (Cycle(error=Interrupted("stop")), "interrupted"),
        (Cycle(error=Waiting("lease", retry_after=1)), "waiting"),
        (Cycle(error=Refused("no")), "failed"),
    ],
)
def test_outcomes(cycle: Cycle, outcome: str) -> None:
    assert outcome_of(cycle) == outcome
    assert outcome in OUTCOMES


def test_problems_are_an_outcome(scene: Scene) -> None:
    scene.world.source.push(files("mail", shop=BROKEN))
    assert outcome_of(scene.cycle()) == "problems"


def test_series_do_not_grow_with_a_hostile_repository(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    cycle = scene.world.cycle()
    assert cycle.desired is not None
    (document,) = (d for d in cycle.desired.parsed.documents if isinstance(d.value, BackupPolicy))
    (one,) = cycle.policies
    documents = tuple(
        replace(document, value=replace(one, name=f"p{number:05}"))
        for number in range(MOST_POLICIES + 50)
    )
    desired = replace(cycle.desired, parsed=ParsedFiles(documents))
    found = figures_of(Figures(), replace(cycle, desired=desired), cluster="c", now=NOW)
    assert len(found.policies) == MOST_POLICIES
    assert found.policy_count == MOST_POLICIES + 50
    assert found.policies[0].name == "p00000"


def test_readiness_says_what_is_missing(scene: Scene) -> None:
    assert len(scene.instruments.missing()) == 2
    scene.refuse(Refused("no such file"))
    assert scene.instruments.missing() == (
        "Config could not be read yet; the log says why",
        "no cycle has ended well yet, the last one failed at: config",
    )
    scene.world.source.push(files("shop"))
    scene.world.source.failures.append(Transient("the remote said: secret-word"))
    scene.cycle()
    assert scene.instruments.missing() == (
        "no cycle has ended well yet, the last one failed at: fetch",
    )
    scene.cycle()
    assert scene.instruments.missing() == ()
    scene.world.source.failures.append(Transient("away"))
    scene.cycle()
    assert scene.instruments.missing() == ()
    scene.refuse(Refused("no such file"))
    assert scene.instruments.missing() == ("Config could not be read yet; the log says why",)


def test_who_keeps_schedules_and_can_not_show_them_is_ready_and_says_so(scene: Scene) -> None:
    assert scene.instruments.wanting() == ()
    scene.world.source.push(files("shop"))
    scene.cycle()
    assert scene.instruments.missing() == ()
    (told,) = scene.instruments.wanting()
    assert told.startswith("policies are not shown as BackupPolicy objects")
    scene.world.cluster.apply(make_crd(Kind.BACKUP_POLICY))
    scene.cycle()
    assert scene.instruments.wanting() == ()


def test_a_loop_that_hangs_is_not_alive(scene: Scene) -> None:
    scene.instruments.begin(lambda: scene.world.setting)
    scene.time += LONGEST_CYCLE
    assert scene.instruments.alive() == ""
    scene.time += 100
    assert "no sign of life" in scene.instruments.alive()
    scene.instruments.pausing(3600)
    assert scene.instruments.alive() == ""
    scene.time += 3600 + 30
    assert scene.instruments.alive() == ""
    scene.time += 60
    assert scene.instruments.alive()


def test_what_follows_a_cycle_has_as_long_again(scene: Scene) -> None:
    scene.instruments.begin(lambda: scene.world.setting)
    scene.time += LONGEST_CYCLE
    scene.instruments.goes_on(Cycle())
    scene.time += LONGEST_CYCLE
    assert scene.instruments.alive() == ""
    scene.time += 100
    assert "no sign of life" in scene.instruments.alive()


def test_a_fault_of_the_figures_is_told_and_ends_nothing(scene: Scene) -> None:
    scene.world.source.push(files("shop"))
    scene.meter.error = RuntimeError("secret-word")
    assert scene.cycle().error is None
    (told,) = scene.world.log.of("unexpected error")
    assert told["kind"] == "RuntimeError"
    assert "secret-word" not in str(scene.world.log.lines)


def test_why_a_pause_ended_is_counted_and_told(scene: Scene) -> None:
    scene.instruments.paused(())
    scene.instruments.paused(("claims", "webhook"))
    assert scene.meter.by == ["timer", "claims", "webhook"]
    assert scene.world.log.of("woken") == [{"by": "claims, webhook"}]
