"""A PodExec in memory: containers whose programs do what a test wrote down for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.model.errors import BackstayError, Interrupted
from reconciler.model.podexec import ExecResult, ExecTimedOut, NotExecutable, PodGone
from tests.fakes.clock import FakeClock

_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Program:
    """What executing it comes to; ``error`` is raised after ``effect`` had its turn.

    What ``takes`` seconds has its effect when they are over, whoever waits for it until then.
    """

    exit_code: int = 0
    output: tuple[bytes, ...] = ()
    error: BackstayError | None = None
    endless: bool = False
    takes: float = 0
    effect: Callable[[], object] = lambda: None


@dataclass
class FakePodExec:
    """Containers by (namespace, pod, container), and the programs in them by their name."""

    containers: dict[tuple[str, str, str], dict[str, Program]] = field(default_factory=dict)
    before: Callable[[tuple[str, ...]], object] = lambda _: None
    """Called with the command before anything else; what it raises, nobody started."""
    done: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    """Every program that was started: namespace, pod, container, command."""
    timeouts: list[float] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    at_work: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    """When a program will have its effect, and which."""

    def settle(self) -> None:
        """Lets happen what is due."""
        now = self.clock.now()
        due = [effect for moment, effect in self.at_work if moment <= now]
        self.at_work[:] = [one for one in self.at_work if one[0] > now]
        for effect in due:
            effect()

    def run(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        timeout: float,
        on_output: Callable[[bytes], object],
        stopped: Callable[[], bool] = lambda: False,
    ) -> ExecResult:
        """As the port says; what is endless takes no time, and has timed out."""
        what = f"exec in {namespace}/{pod} ({container})"
        self.settle()
        self.before(tuple(command))
        if not any(key[:2] == (namespace, pod) for key in self.containers):
            raise PodGone(f"{what}: the pod is gone")
        programs = self.containers.get((namespace, pod, container))
        program = (programs or {}).get(command[0])
        if program is None:
            raise NotExecutable(f"{what}: not started")
        self.done.append((namespace, pod, container, tuple(command)))
        self.timeouts.append(timeout)
        for piece in program.output:
            on_output(piece)
        if program.takes:
            takes = timedelta(seconds=program.takes)
            self.at_work.append((self.clock.now() + takes, program.effect))
        else:
            program.effect()
        if program.error is not None:
            raise program.error
        left = min(timeout, program.takes)
        while left > 0:
            if stopped():
                raise Interrupted(f"stopped while a command was at work: {what}")
            self.clock.sleep(min(left, _LOOK))
            left -= _LOOK
            self.settle()
        if program.endless and stopped():
            raise Interrupted(f"stopped while a command was at work: {what}")
        if program.endless or program.takes > timeout:
            raise ExecTimedOut(f"{what}: it had not ended in time; its process goes on there")
        return ExecResult(program.exit_code, sum(map(len, program.output)))
