"""What every PodExec promises. Run on the fake, over a WebSocket on loopback, and in a real pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.model.errors import Interrupted
from reconciler.model.podexec import ExecResult, ExecTimedOut, NotExecutable, PodGone
from reconciler.ports import PodExec

WORDS = ("one", "two words", "$HOME; exit 4", "ümläut & more", "")
"""Arguments that a shell would not leave alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecWorld:
    """A pod with one container that has `echo`-like programs; each is a command."""

    execute: PodExec
    namespace: str
    pod: str
    container: str
    tell: tuple[str, ...]
    """Writes each of its arguments on a line of its own."""
    fail: tuple[str, ...]
    """Writes ``out`` and a line feed to one output, ``err`` and one to the other; exit code 3."""
    endless: tuple[str, ...]

    def run(self, command: tuple[str, ...], **changed: Any) -> tuple[ExecResult, bytes]:
        """What comes of a command, and its output; other places or limits where told."""
        pieces: list[bytes] = []
        place = {"namespace": self.namespace, "pod": self.pod, "container": self.container}
        given = {**place, "timeout": 60.0, "on_output": pieces.append, **changed}
        result = self.execute.run(command=command, **given)
        return result, b"".join(pieces)


def assert_keeps_promises(world: ExecWorld) -> None:
    """All of the suite in one, for where a world costs much."""
    suite = PodExecContract()
    for name in sorted(dir(suite)):
        if name.startswith("test_"):
            getattr(suite, name)(world)


class PodExecContract:
    """Tests take the fixture ``exec_world``."""

    def test_the_words_of_a_command_come_as_they_are(self, exec_world: ExecWorld) -> None:
        result, output = exec_world.run((*exec_world.tell, *WORDS))
        assert output.decode() == "".join(f"{word}\n" for word in WORDS)
        assert result == ExecResult(0, len(output))

    def test_an_exit_code_is_told_with_both_outputs(self, exec_world: ExecWorld) -> None:
        result, output = exec_world.run(exec_world.fail)
        assert result == ExecResult(3, 8)
        assert sorted(output.decode().split()) == ["err", "out"]

    def test_what_takes_too_long_is_left_alone(self, exec_world: ExecWorld) -> None:
        with pytest.raises(ExecTimedOut, match="goes on"):
            exec_world.run(exec_world.endless, timeout=1.5)

    def test_waiting_ends_when_it_is_asked_to(self, exec_world: ExecWorld) -> None:
        with pytest.raises(Interrupted):
            exec_world.run(exec_world.endless, stopped=lambda: True)

    def test_a_pod_that_is_gone_is_told(self, exec_world: ExecWorld) -> None:
        with pytest.raises(PodGone):
            exec_world.run(exec_world.tell, pod="nobody")

    def test_a_container_that_is_not_there_is_told(self, exec_world: ExecWorld) -> None:
        with pytest.raises(NotExecutable):
            exec_world.run(exec_world.tell, container="other")

    def test_a_program_that_is_not_there_is_told(self, exec_world: ExecWorld) -> None:
        with pytest.raises(NotExecutable):
            exec_world.run(("no-such-program-here",))
