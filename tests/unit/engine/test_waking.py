"""The pause between cycles: what a hint does to it, in a time that only the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from reconciler.adapters.bell import SystemBell
from reconciler.engine.waking import Pace, Waker

PACE = Pace(quiet=0.5, gap=1.0, burst=3, refill=10.0)
PATIENCE = 60.0


class FakeBell:
    """Time that moves by waiting; ``plan`` is what happens at which moment."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.rung = False
        self.rings = 0
        self.plan: list[tuple[float, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.time

    def ring(self) -> None:
        self.rung = True
        self.rings += 1

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        if self.rung:
            self.rung = False
            return
        end = self.time + seconds
        due = [item for item in self.plan if item[0] <= end]
        if due:
            item = min(due, key=lambda found: found[0])
            self.plan.remove(item)
            self.time = max(self.time, item[0])
            item[1]()
            self.rung = False
            return
        self.time = end


@pytest.fixture
def bell() -> FakeBell:
    return FakeBell()


def test_without_hints_it_is_the_timers_pause(bell: FakeBell) -> None:
    waker = Waker(bell, pace=PACE)
    assert waker.pause(57.5) is False
    assert bell.time == 1057.5
    assert waker.woken_by == ()


def test_a_hint_ends_it_soon(bell: FakeBell) -> None:
    waker = Waker(bell, pace=PACE)
    bell.plan = [(1020.0, lambda: waker.hint("webhook"))]
    assert waker.pause(60) is False
    assert bell.time == 1020.5
    assert waker.woken_by == ("webhook",)


def test_a_storm_of_hints_is_one_cycle(bell: FakeBell) -> None:
    waker = Waker(bell, pace=PACE)
    for _ in range(1000):
        waker.hint("namespaces")
        waker.hint("claims")
    assert bell.rings == 1
    waker.pause(60)
    assert (bell.time, waker.woken_by) == (1001.0, ("claims", "namespaces"))
    waker.pause(60)
    assert (bell.time, waker.woken_by) == (1061.0, ())


def test_hints_during_a_cycle_cause_exactly_one_more(bell: FakeBell) -> None:
    waker = Waker(bell, pace=PACE)
    waker.pause(60)
    for _ in range(7):  # the cycle is at work now
        waker.hint("webhook")
    waker.pause(60)
    assert bell.time == 1061.0
    waker.pause(60)
    assert bell.time == 1121.0


def test_hints_without_end_get_a_steady_few_cycles(bell: FakeBell) -> None:
    waker = Waker(bell, pace=PACE)
    cycles = 0
    while bell.time < 1600:
        waker.hint("webhook")
        waker.pause(3600)
        cycles += 1
    assert cycles == PACE.burst + 60  # what there was, and one each ten seconds


@pytest.mark.parametrize(
    ("takes", "apart"), [(0.1, 4.0), (1.0, 4.0), (1.5, 6.0), (3.0, 12.0), (9.0, 15.0), (40.0, 41.0)]
)
def test_the_longer_a_cycle_takes_the_fewer_there_are(
    bell: FakeBell, takes: float, apart: float
) -> None:
    waker = Waker(bell)
    begun = []
    for _ in range(30):
        begun.append(bell.time)
        bell.time += takes  # the cycle is at work
        waker.hint("namespaces")
        waker.pause(3600)
    steady = [later - one for one, later in zip(begun[-5:], begun[-4:], strict=False)]
    assert steady == pytest.approx([apart] * 4)


def test_a_new_application_is_looked_at_within_five_seconds_after_any_storm(bell: FakeBell) -> None:
    waker = Waker(bell)
    for _ in range(100):
        bell.time += 0.2
        waker.hint("namespaces")
        hinted = bell.time
        waker.pause(60)
        assert bell.time - hinted < 5 - 0.2


def test_a_hint_that_waits_its_turn_is_not_forgotten(bell: FakeBell) -> None:
    waker = Waker(bell, pace=Pace(quiet=0, gap=0, burst=1, refill=1000))
    waker.hint("webhook")
    waker.pause(60)
    assert bell.time == 1000.0
    waker.hint("webhook")
    waker.pause(60)  # the timer comes first, and its cycle is the hint's as well
    assert (bell.time, waker.woken_by) == (1060.0, ())
    waker.pause(60)
    assert bell.time == 1120.0


def test_the_timers_own_cycles_cost_nothing_of_the_budget(bell: FakeBell) -> None:
    waker = Waker(bell, pace=Pace(quiet=0, gap=0, burst=1, refill=1e9))
    for _ in range(50):
        waker.pause(60)
    waker.hint("webhook")
    before = bell.time
    waker.pause(60)
    assert bell.time == before


def test_a_hint_never_makes_it_longer(bell: FakeBell) -> None:
    waker = Waker(bell, pace=Pace(quiet=5, gap=30))
    waker.hint("webhook")
    waker.pause(2)
    assert bell.time == 1002.0


def test_it_ends_when_it_is_time_to_stop(bell: FakeBell) -> None:
    stopped = threading.Event()
    waker = Waker(bell, stopped=stopped.is_set, pace=PACE)
    bell.plan = [(1030.0, stopped.set)]
    assert waker.pause(60) is True
    assert bell.time == 1030.0
    assert waker.pause(60) is True


def test_a_hint_of_another_thread_ends_a_real_pause() -> None:
    waker = Waker(SystemBell(), pace=Pace(quiet=0, gap=0))
    ended = threading.Event()

    def pause() -> None:
        waker.pause(3600)
        ended.set()

    loop = threading.Thread(target=pause, daemon=True)
    loop.start()
    waker.hint("webhook")
    assert ended.wait(PATIENCE)
    loop.join(PATIENCE)


def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = SystemBell()
    bell.ring()
    waited = threading.Thread(target=bell.wait, args=(3600.0,), daemon=True)
    waited.start()
    waited.join(PATIENCE)
    assert not waited.is_alive()
