"""A silent connection is kept alive, and one whose other end is gone is not waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.adapters.kubeexec import Reading
from reconciler.model.errors import BackstayError
from reconciler.model.podexec import ExecLost, ExecResult, ExecTimedOut

SUCCESS = b"\x03" + b'{"status": "Success"}'


class WebSocketTimeoutException(Exception):
    """As the library calls it."""


class Peer:
    """The other end: answers pings for ``lives`` seconds, and ends the command at ``ends``."""

    def __init__(self, *, lives: float, ends: float) -> None:
        self.now = 0.0
        self.pings: list[float] = []
        self._lives = lives
        self._ends = ends
        self._owed = 0
        self._wait = 0.0

    def settimeout(self, seconds: float) -> None:
        self._wait = seconds

    def ping(self) -> None:
        self.pings.append(self.now)
        self._owed += self.now < self._lives

    def recv_data_frame(self, _: bool) -> tuple[int, Any]:
        if self._owed:
            self._owed -= 1
            return 10, SimpleNamespace(data=b"")
        self.now += self._wait
        if self._ends <= self.now:
            self._ends = float("inf")
            return 2, SimpleNamespace(data=SUCCESS)
        raise WebSocketTimeoutException


def read(peer: Peer, timeout: float = 1000) -> ExecResult:
    """What comes of it."""
    reading = Reading("exec", peer, lambda _: None, lambda: peer.now)
    return reading.read(timeout, lambda: False)


def test_a_silent_command_is_asked_for_signs_of_life() -> None:
    peer = Peer(lives=1000, ends=110)
    assert read(peer) == ExecResult(0, 0)
    assert peer.pings == [20, 40, 60, 80, 100]


@pytest.mark.parametrize(
    ("lives", "error", "after"),
    [(50, ExecLost, 131), (0, ExecTimedOut, 1000)],
    ids=["it answered until then", "it never answers"],
)
def test_a_peer_that_falls_silent_is_gone(
    lives: float, error: type[BackstayError], after: float
) -> None:
    peer = Peer(lives=lives, ends=float("inf"))
    with pytest.raises(error):
        read(peer)
    assert peer.now == after
