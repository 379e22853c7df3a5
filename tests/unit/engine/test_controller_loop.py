"""When the next cycle begins, and what is told how often."""

from __future__ import annotations

import pytest

from reconciler.engine.controller import Setting, delay, run_controller
from reconciler.model.errors import (
    BackstayError,
    Bug,
    InvalidInput,
    Problem,
    Refused,
    Transient,
    Waiting,
)
from reconciler.plan.mirrorstatus import text_of
from tests.unit.engine.controller_world import BROKEN, ControllerWorld, files


@pytest.mark.parametrize(
    ("error", "failures", "seconds"),
    [
        (None, 0, 60),
        (Refused("key"), 0, 60),
        (Bug("?"), 0, 60),
        (Waiting("lease", retry_after=30), 0, 30),
        (Waiting("lock", retry_after=300), 0, 60),
        (Transient("net"), 1, 5),
        (Transient("net"), 2, 10),
        (Transient("net"), 4, 40),
        (Transient("net"), 9, 60),
        (Transient("net"), 5000, 60),
    ],
)
def test_delay(error: BackstayError | None, failures: int, seconds: float) -> None:
    assert delay(error, 60, failures) == seconds


class Pause:
    """Notes how long each pause would be, and stops at the last."""

    def __init__(self, cycles: int) -> None:
        self.cycles = cycles
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) >= self.cycles


def test_the_loop_backs_off_from_a_fault_and_comes_back() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.source.failures += [Transient("away"), Transient("away")]
    pause = Pause(4)
    run_controller(
        lambda: world.setting, world.teller, pause=pause, jitter=lambda: 1.0, reporter=world.log
    )
    assert pause.seconds == [5, 10, 60, 60]
    assert world.names("CronJob") == ["backstay-shop"]


def test_jitter_is_a_factor() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    pause = Pause(1)
    run_controller(
        lambda: world.setting, world.teller, pause=pause, jitter=lambda: 0.95, reporter=world.log
    )
    assert pause.seconds == [57]


def test_a_config_that_breaks_is_told_and_the_loop_goes_on() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    problem = Problem(file="backstay.yaml", line=4, column=1, message="unknown field 'imag'")
    answers: list[BackstayError | None] = [InvalidInput([problem]), None]

    def prepare() -> Setting:
        error = answers.pop(0)
        if error is not None:
            raise error
        return world.setting

    run_controller(prepare, world.teller, pause=Pause(2), jitter=lambda: 1.0, reporter=world.log)
    assert world.log.of("problem")[0]["where"] == "backstay.yaml:4:1"
    assert world.log.of("cycle failed")[0]["step"] == "config"
    assert world.names("CronJob") == ["backstay-shop"]


def test_a_fault_before_a_cycle_is_told_as_a_bug_and_the_loop_goes_on() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    answers: list[Exception | None] = [OSError(24, "Too many open files: s3cret"), None]

    def prepare() -> Setting:
        error = answers.pop(0)
        if error is not None:
            raise error
        return world.setting

    run_controller(prepare, world.teller, pause=Pause(2), jitter=lambda: 1.0, reporter=world.log)
    assert world.log.of("unexpected error")[0]["kind"] == "OSError"
    assert world.log.of("cycle failed")[0]["step"] == "config"
    assert "s3cret" not in str(world.log.of("cycle failed"))
    assert world.names("CronJob") == ["backstay-shop"]


def test_the_loop_ends_when_a_cycle_was_interrupted() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    pause = Pause(9)
    object.__setattr__(world.setting, "stopped", lambda: True)
    run_controller(
        lambda: world.setting, world.teller, pause=pause, jitter=lambda: 1.0, reporter=world.log
    )
    assert pause.seconds == []


def test_the_same_story_is_one_line_until_an_hour_has_passed() -> None:
    world = ControllerWorld()
    world.source.push(files("mail", shop=BROKEN))
    world.cycle()
    first = world.log.take()
    assert {"created", "problem", "skipped", "note", "cycle done"} <= set(first)
    world.cycle()
    assert world.log.take() == ["cycle done"]
    world.clock.sleep(3600)
    world.cycle()
    assert "problem" in world.log.take()


def test_to_let_another_go_first_is_no_trouble_that_ends() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.source.failures += [Waiting("another controller is writing")]
    world.cycle()
    (told,) = world.log.of("cycle failed")
    assert (told["reason"], "since" in told) == ("Waiting", False)
    world.cycle()
    assert world.log.take()[-1] == "cycle done"
    assert not world.log.of("cycles end well again")
    # In the middle of real trouble it neither ends that nor begins it anew.
    began = world.clock.now()
    for error in (Transient("no route"), Waiting("another controller is writing")):
        world.source.failures.append(error)
        world.cycle()
        world.clock.sleep(60)
    since = {line["since"] for line in world.log.of("cycle failed")}
    assert since == {text_of(began)}
    world.cycle()
    assert world.log.of("cycles end well again") == [{"failed_since": text_of(began)}]


def test_a_new_error_is_told_at_once() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.cycle()
    world.log.take()
    world.source.failures.append(Refused("host key changed", hint="look"))
    world.cycle()
    assert world.log.of("cycle failed")[0]["hint"] == "look"


def test_i9_a_log_does_not_grow_with_a_hostile_repository() -> None:
    world = ControllerWorld()
    many = {f"p{number}": b"a: [" for number in range(400)}
    world.source.push(files(**many))
    world.cycle()
    assert len(world.log.of("problem")) == 200
    assert int(str(world.log.of("and more")[0]["count"])) >= 200
