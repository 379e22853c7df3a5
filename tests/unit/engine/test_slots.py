"""How many movers work at a time."""

from __future__ import annotations

import threading

import pytest

from reconciler.engine.slots import Pool, Slots
from reconciler.model.errors import Interrupted

PATIENCE = 60.0


def test_no_more_than_there_are() -> None:
    slots = Slots(2)
    assert [slots.use(), slots.use(), slots.use()] == [True, True, False]
    slots.ended()
    assert slots.use()


def test_two_share_a_pool_and_give_back_what_they_do_not_use() -> None:
    pool = Pool(2)
    one, other = Slots(pool=pool), Slots(pool=pool)
    assert one.use()
    assert other.use()
    assert not one.use()
    other.forget()
    assert one.use()


def test_one_is_kept_while_nothing_is_at_work() -> None:
    pool = Pool(1)
    one, other = Slots(pool=pool), Slots(pool=pool)
    with one.kept(lambda: False):
        assert not other.use()
        assert one.use()
        one.ended()
        assert not other.use()
    assert other.use()


def test_who_waits_comes_before_who_wants_one_more() -> None:
    pool = Pool(1)
    one, other = Slots(pool=pool), Slots(pool=pool)
    assert one.use()
    waiting, has = threading.Event(), threading.Event()

    def stopped() -> bool:
        waiting.set()
        return False

    def wait() -> None:
        with other.kept(stopped):
            has.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert waiting.wait(PATIENCE)
    one.ended()
    assert has.wait(PATIENCE)
    thread.join(PATIENCE)
    assert one.use()


def test_waiting_ends_when_it_is_asked_to() -> None:
    pool = Pool(0)
    with pytest.raises(Interrupted):
        Slots(pool=pool).await_one(lambda: True)
    pool.give()
    assert Slots(pool=pool).use()
