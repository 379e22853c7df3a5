"""The tries to start one hook's command in one pod, and whether one of them may have begun it.

An answer that did not come may be that of a command that was started. So only what says so for
certain counts as never started: that the pod is gone, that the program or the right is missing.
A try knows its pod by the name only, so each asks for its uid just before: what was replaced
meanwhile was never quiesced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler import ports
from reconciler.model import kinds
from reconciler.model.errors import Transient
from reconciler.model.hooks import HookCommand
from reconciler.model.podexec import ExecLost, ExecResult, PodGone
from reconciler.plan.hooklease import OpenHook, QuietPod


@dataclass(slots=True, kw_only=True)
class Start:
    """Calling it is one try."""

    execute: ports.PodExec
    reader: ports.ClusterReader
    pod: QuietPod
    hook: OpenHook
    command: HookCommand
    on_output: Callable[[bytes], object]
    stopped: Callable[[], bool]
    again: bool
    """What nobody knows the end of is executed once more."""
    maybe: bool = False
    """Whether a try may have begun it."""

    def __call__(self) -> ExecResult:
        """Raises what `reconciler.ports.PodExec` does."""
        if not self.is_there():
            raise PodGone(
                f"pod {self.pod.namespace}/{self.pod.pod} is gone, or another one of its name"
            )
        try:
            return self.execute.run(
                self.pod.namespace,
                self.pod.pod,
                self.hook.container,
                self.command.command,
                timeout=self.command.timeout,
                on_output=self.on_output,
                stopped=self.stopped,
            )
        except ExecLost as error:
            self.maybe = True
            if self.again:
                raise Transient(error.message, hint=error.hint) from error
            raise
        except Transient:
            self.maybe = True
            raise

    def is_there(self) -> bool:
        """Whether this very pod is; another of its name was never quiesced."""
        pages = self.reader.pages(
            kinds.PODS, namespace=self.pod.namespace, field_selector=f"metadata.name={self.pod.pod}"
        )
        return any(raw["metadata"].get("uid") == self.pod.uid for page in pages for raw in page)
