"""A process that died on this machine is known to be dead, and no other one is."""

from __future__ import annotations

import os
import socket

import pytest

from reconciler.cli.holders import is_dead, this_process


def test_this_process_lives() -> None:
    me = this_process()
    assert me.startswith(f"{socket.gethostname()}/{os.getpid()}@")
    assert not is_dead(me)


def test_a_process_that_ended_is_dead_also_when_its_number_is_used_again() -> None:
    who, _, start = this_process().rpartition("/")
    assert start.isdigit()
    assert is_dead(f"{who}/{int(start) - 1}")
    gone = who.replace(f"/{os.getpid()}@", "/4194305@")
    assert is_dead(f"{gone}/{start}")


@pytest.mark.parametrize(
    "holder", ["", "laptop/1", "laptop/1@", "laptop/1@ab/", "laptop/x@ab/7", "a@b/c", "@", "/@/"]
)
def test_whose_place_is_not_known_is_never_dead(holder: str) -> None:
    assert not is_dead(holder)


def test_another_machine_or_container_is_never_dead() -> None:
    me = this_process()
    assert not is_dead(me.replace(socket.gethostname(), "elsewhere", 1))
    who, _, rest = me.partition("@")
    place, _, start = rest.partition("/")
    other = "0" * len(place)
    assert not is_dead(f"{who}@{other}/{int(start) - 1}")
