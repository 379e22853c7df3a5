"""The tries to start one hook's command in one pod, and whether one of them may have begun it.

An answer that did not come may be that of a command that was started (ExecLost): it is not started
again, but for a post command.
A try knows its pod by the name only, so each asks for its uid just before: what was replaced
meanwhile was never quiesced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import ports
from reconciler.model import kinds
from reconciler.model.errors import Refused, Transient
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
    clock: ports.Clock
    on_output: Callable[[bytes], object]
    stopped: Callable[[], bool]
    again: bool
    """What nobody knows the end of is executed once more."""
    maybe: bool = False
    """Whether a try may have begun it."""
    container: str = ""
    """The id of the hook's container in that pod, as it was looked at last."""

    def __call__(self) -> ExecResult:
        """Raises what `reconciler.ports.PodExec` does."""
        if self.look() != self.pod.uid:
            raise PodGone(
                f"pod {self.pod.namespace}/{self.pod.pod} is gone, or another one of its name"
            )
        moment = None if self.again else self.hook.moment
        if moment is not None and self.clock.now() >= moment:
            raise Refused(f"not started: its Lease says that it is over at {self.hook.until}")
        try:
            return self.execute.run(
                self.pod.namespace,
                self.pod.pod,
                self.hook.container,
                self.command.command,
                timeout=self._seconds(),
                on_output=self.on_output,
                stopped=self.stopped,
            )
        except ExecLost as error:
            self.maybe = True
            if self.again:
                raise Transient(error.message, hint=error.hint) from error
            raise

    def _seconds(self) -> float:
        """Its time; not beyond the moment that its Lease names, however late it starts."""
        if self.again or self.hook.moment is None:
            return self.command.timeout
        left = (self.hook.moment - self.clock.now()).total_seconds()
        return max(1.0, min(self.command.timeout, left))

    def look(self) -> str:
        """The uid of the pod that has the name now; another than ours was never quiesced.

        Empty where there is none.
        """
        raw = find_pod(self.reader, self.pod.namespace, self.pod.pod)
        if raw is None:
            return ""
        status = raw.get("status") or {}
        containers = (
            *(status.get("containerStatuses") or ()),
            *(status.get("initContainerStatuses") or ()),
        )
        name = self.hook.container
        ids = [str(one.get("containerID") or "") for one in containers if one.get("name") == name]
        self.container = next(iter(ids), "")
        return str(raw["metadata"].get("uid", ""))


def find_pod(reader: ports.ClusterReader, namespace: str, name: str) -> Mapping[str, Any] | None:
    """The pod that has a name now."""
    selector = f"metadata.name={name}"
    pages = reader.pages(kinds.PODS, namespace=namespace, field_selector=selector)
    return next((raw for page in pages for raw in page), None)
