"""A PodExec in memory: containers whose programs do what a test wrote down for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reconciler.model.errors import BackstayError, Interrupted
from reconciler.model.podexec import ExecResult, ExecTimedOut, NotExecutable, PodGone


@dataclass(frozen=True, slots=True)
class Program:
    """What executing it comes to; ``error`` is raised after ``effect`` had its turn."""

    exit_code: int = 0
    output: tuple[bytes, ...] = ()
    error: BackstayError | None = None
    endless: bool = False
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
        program.effect()
        if program.error is not None:
            raise program.error
        if program.endless:
            if stopped():
                raise Interrupted(f"stopped while a command was at work: {what}")
            raise ExecTimedOut(f"{what}: it had not ended in time; its process goes on there")
        return ExecResult(program.exit_code, sum(map(len, program.output)))
