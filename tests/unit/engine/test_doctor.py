"""`backstay doctor` on a fake world: healthy it finds nothing, and it never changes anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from reconciler.engine.doctor import Step, choose, examine
from reconciler.engine.doctorfacts import Facts
from reconciler.engine.doctorsteps import STEPS
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.plan.doctor import CHECKS, GROUPS, IDS
from reconciler.report.doctor import render_text, to_json
from tests.conftest import Golden
from tests.unit.engine.doctor_world import POLICY_FILE, DoctorWorld
from tests.unit.engine.run_world import RUN_IDS


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation that nothing is wrong with."""
    return DoctorWorld()


def test_a_healthy_installation_is_told_so(world: DoctorWorld, golden: Golden) -> None:
    made = world.doctor()
    assert world.wrong() == []
    assert made.exit_code == 0
    golden("report/doctor-healthy.txt", render_text(made))


def test_every_check_of_the_table_gives_an_answer(world: DoctorWorld) -> None:
    assert {found.id for found in world.doctor().findings} == IDS


def test_every_check_of_the_table_is_asked_by_a_step() -> None:
    asked = [name for step in STEPS for name in step.ids]
    assert sorted(asked) == sorted(IDS)
    assert len(CHECKS) == len(IDS)


def test_nothing_is_written_anywhere(world: DoctorWorld) -> None:
    heads = dict(world.remote.heads)
    stored = {url: list(one.snapshots) for url, one in world.storage.repositories.items()}
    versions = {
        (raw["kind"], raw["metadata"]["name"]): raw["metadata"]["resourceVersion"]
        for raw in world.cluster.all()
    }
    before = world.cluster.requests.copy()
    world.doctor()
    assert world.cluster.writes == []
    asked = set(world.cluster.requests - before)
    assert asked == {"pages", "may", "discover", "identity", "logs"}
    assert versions == {
        (raw["kind"], raw["metadata"]["name"]): raw["metadata"]["resourceVersion"]
        for raw in world.cluster.all()
    }
    assert world.remote.heads == heads
    assert not [call for call in world.remote.calls if call.startswith("push")]
    assert stored == {url: list(one.snapshots) for url, one in world.storage.repositories.items()}


def test_twice_says_the_same(world: DoctorWorld) -> None:
    assert world.doctor() == world.doctor()


def test_an_interrupt_ends_it(world: DoctorWorld) -> None:
    asked: list[str] = []

    def hang(_: Facts) -> Iterator[Finding]:
        asked.append("hang")
        threading.Event().wait(30)
        yield from ()

    steps = (Step(name="hang", ids=("cluster/api",), ask=hang),)
    with pytest.raises(Interrupted, match="after 0 of 1 checks"):
        world.doctor(steps=steps, stopped=lambda: bool(asked))


def answer(identifier: str) -> Finding:
    """A good one."""
    return Finding(id=identifier, level=Level.OK, message="fine")


def raising(error: Exception) -> Step:
    """Answers one of its two checks, then breaks."""

    def ask(_: Facts) -> Iterator[Finding]:
        yield answer("git/policies")
        raise error

    return Step(name="raising", ids=("git/policies", "policies/valid"), ask=ask)


def fine(_: Facts) -> Iterator[Finding]:
    yield answer("cluster/clock")


FINE = Step(name="fine", ids=("cluster/clock",), ask=fine)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Transient("it is away", hint="wait"), "it is away"),
        (ValueError("secret-4711"), "ValueError in Backstay itself, test_doctor.py:"),
    ],
)
def test_a_check_that_raises_is_unknown_and_ends_no_other(
    world: DoctorWorld, error: Exception, message: str
) -> None:
    made = world.doctor(steps=(raising(error), FINE))
    assert [(one.id, one.level) for one in made.findings] == [
        ("cluster/clock", Level.OK),
        ("git/policies", Level.OK),
        ("policies/valid", Level.UNKNOWN),
    ]
    assert made.findings[-1].message.startswith(message)
    assert "secret-4711" not in render_text(made)
    assert made.exit_code == 3


def test_a_check_that_raises_after_its_first_answer_is_not_taken_for_that(
    world: DoctorWorld,
) -> None:
    def ask(_: Facts) -> Iterator[Finding]:
        yield answer("repositories/snapshots")
        raise Transient("the next one is away", hint="wait")

    made = world.doctor(steps=(Step(name="x", ids=("repositories/snapshots",), ask=ask),))
    assert [(one.level, one.message) for one in made.findings] == [
        (Level.OK, "fine"),
        (Level.UNKNOWN, "the next one is away"),
    ]
    assert made.exit_code == 3


def test_a_check_that_takes_too_long_is_unknown(world: DoctorWorld) -> None:
    held = threading.Event()

    def hang(_: Facts) -> Iterator[Finding]:
        held.wait(30)
        yield answer("cluster/api")

    steps = (Step(name="hang", ids=("cluster/api",), ask=hang), FINE)
    ports = world.doctor_ports()
    made = examine(steps, ports, world.facts(), limit=3)
    held.set()
    assert [(one.id, one.level) for one in made.findings] == [
        ("cluster/api", Level.UNKNOWN),
        ("cluster/clock", Level.OK),
    ]
    assert "no answer within" in made.findings[0].message


def test_tasks_of_one_step_run_beside_each_other_and_fail_alone(world: DoctorWorld) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def meet(_: Facts) -> Iterator[Finding]:
        meeting.wait()
        yield answer("repositories/open")

    def fail(_: Facts) -> Iterator[Finding]:
        raise Refused("no")

    steps = (
        Step(
            name="split",
            ids=("repositories/open",),
            split=lambda _: [("a", meet), ("b", meet), ("c", fail)],
        ),
    )
    made = world.doctor(steps=steps)
    assert [(one.level, one.where) for one in made.findings] == [
        (Level.OK, ""),
        (Level.OK, ""),
        (Level.UNKNOWN, "c"),
    ]


def test_only_asks_what_it_needs_and_shows_what_was_asked_for(world: DoctorWorld) -> None:
    names = [step.name for step in choose(STEPS, frozenset({"rights"}))]
    assert names == ["cluster", "rights", "restore account"]
    made = world.doctor(groups=("rights", "storage"))
    assert {found.group for found in made.findings} == {"rights", "storage"}


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_can_be_asked_alone(world: DoctorWorld, group: str) -> None:
    found = world.doctor(groups=(group,)).findings
    assert {one.id for one in found} == {one for one in IDS if one.startswith(f"{group}/")}


def test_without_a_cluster_git_and_repositories_are_still_asked(world: DoctorWorld) -> None:
    world.cluster_error = Refused("no cluster: it does not exist", hint="give --kubeconfig")
    made = world.doctor()
    levels = {found.id: found.level for found in made.findings}
    assert levels["cluster/api"] is Level.PROBLEM
    for name in ("rights/run", "policies/applied", "leftovers/mover", "git/cluster"):
        assert levels[name] is Level.UNKNOWN, name
    for name in ("git/policies", "git/push", "repositories/open", "repositories/snapshots"):
        assert levels[name] is Level.OK, name
    assert made.exit_code == 1


def test_progress_comes_to_its_end(world: DoctorWorld) -> None:
    world.doctor()
    steps = world.reporter.of("checking")
    assert steps[0]["done"] == 0
    assert steps[-1]["done"] == steps[-1]["total"] == len(STEPS)


def test_many_repositories_have_a_progress_of_their_own(world: DoctorWorld) -> None:
    def fine(_: Facts) -> Iterator[Finding]:
        yield answer("repositories/open")

    split = Step(name="repositories", ids=("repositories/open",), split=lambda _: [("", fine)] * 9)
    assert len(world.doctor(steps=(split,)).findings) == 9
    told = world.reporter.of("repositories")
    assert [fields["done"] for fields in told] == [0, 4, 8, 9]


def test_a_bad_day_is_told_in_full(world: DoctorWorld, golden: Golden) -> None:
    world.cluster.denied.add(
        ("system:serviceaccount:backstay-system:backstay-run", "create", "jobs.batch")
    )
    world.cluster.skew = 90
    world.programs["restic"] = "0.14.0"
    world.keyring.masters["restic-main"] = "x" * 32
    world.remote.read_only = True
    world.log_cycle("cycle failed", error="cannot fetch", hint="check the network")
    world.clock.advance(timedelta(days=3).total_seconds())
    golden("report/doctor-bad-day.txt", render_text(world.doctor()))


def test_json_has_every_finding_and_the_sums(world: DoctorWorld) -> None:
    world.cluster.skew = 90
    made = world.doctor()
    document = to_json(made)
    assert (document["formatVersion"], document["type"]) == (1, "doctor")
    assert len(document["findings"]) == len(made.findings)
    assert document["counts"]["warning"] == 1
    assert document["exitCode"] == 0
    (found,) = [one for one in document["findings"] if one["level"] == "warning"]
    assert found["id"] == "cluster/clock"
    assert set(found) == {"id", "level", "where", "message", "hint"}


def test_a_policy_is_looked_at_alone(world: DoctorWorld) -> None:
    shop = POLICY_FILE.partition(b"---\n")[2]
    mail = shop.replace(b"name: shop", b"name: mail").replace(b'[shop, "shop-*"]', b"[mail]")
    world.push_policies(POLICY_FILE + b"---\n" + mail)
    world.apply()
    assert [one.id for one in world.wrong()] == ["policies/selection"]
    assert world.wrong(policy="shop") == []
    assert [one.where for one in world.wrong(policy="mail")] == ["policy mail"]
    (unknown,) = [one for one in world.wrong(policy="nope") if one.id == "policies/valid"]
    assert "there are: mail, shop" in unknown.hint


def test_a_run_of_now_is_no_leftover(world: DoctorWorld) -> None:
    assert RUN_IDS[0] in render_text(world.doctor())
