"""A run whose policy has hooks, with an application that knows whether it is quiesced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.engine.context import RunPorts
from reconciler.engine.finishing import Finisher, finish_lease
from reconciler.engine.hookcommands import Commands
from reconciler.engine.hookleases import HookLeases
from reconciler.model.grants import Grant
from reconciler.model.hooks import Hook, HookCommand, OnError
from reconciler.model.volumes import MoveResult, MoveTask
from reconciler.plan.hooklease import COMPONENT_HOOK, OpenHook, QuietPod, make_lease, read_lease
from tests.fakes.podexec import FakePodExec, Program
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import CONFIG, POLICY, SYSTEM, manifest

QUIESCE = Hook(
    name="quiesce",
    match_labels={"app": "db"},
    container="db",
    pre=HookCommand(("lock", "--all"), timeout=30),
    post=HookCommand(("unlock",), timeout=20),
)

THEIRS = OpenHook(hook="theirs", container="db", command=("unlock",), timeout=5)
"""What another run has left open."""


def db_pod(name: str = "db-0", namespace: str = "shop", **metadata: Any) -> dict[str, Any]:
    """A pod of the application, running."""
    return manifest(
        "Pod",
        name,
        namespace,
        metadata={"labels": {"app": "db"}, **metadata},
        spec={"containers": [{"name": "db", "image": "db:1"}]},
        status={
            "phase": "Running",
            "containerStatuses": [{"name": "db", "state": {"running": {}}}],
        },
    )


def with_errors(on_error: OnError, hook: Hook = QUIESCE) -> Hook:
    """The hook, with what its failures mean."""
    return replace(
        hook,
        pre=replace(hook.pre, on_error=on_error) if hook.pre else None,
        post=replace(hook.post, on_error=on_error) if hook.post else None,
    )


@dataclass
class HookWorld(JobWorld):
    """`events` has what happened to the application, in order: lock, copy, unlock."""

    hooks: tuple[Hook, ...] = (QUIESCE,)
    events: list[str] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config = replace(CONFIG, grants=(Grant(admin=True, hooks=("shop", "shop-*")),))
        self.policy = replace(POLICY, hooks=self.hooks, hooks_within=("shop", "shop-*"))
        self.execute = FakePodExec(clock=self.clock)
        self.add_pod()

    def add_pod(self, name: str = "db-0", namespace: str = "shop") -> dict[str, Any]:
        """One more pod of the application."""
        self.execute.containers[namespace, name, "db"] = {
            "lock": Program(effect=lambda: self.events.append(f"lock {namespace}/{name}")),
            "unlock": Program(effect=lambda: self.events.append(f"unlock {namespace}/{name}")),
        }
        return self.cluster.put(db_pod(name, namespace))

    def program(
        self, name: str, pod: str = "db-0", namespace: str = "shop", **changed: Any
    ) -> None:
        """Another program of its name in a pod; it happens all the same."""
        programs = self.execute.containers[namespace, pod, "db"]
        programs[name] = replace(programs[name], **changed)

    def move(self, task: MoveTask) -> MoveResult:
        """Copies, and writes it down."""
        self.events.append(f"copy {task.namespace}/{task.claim}")
        return super().move(task)

    def ports(self, **changed: Any) -> RunPorts:
        """With a way into pods."""
        return super().ports(**{"execute": self.execute, **changed})

    def leases(self) -> list[Any]:
        """Of pods with open hooks."""
        return [
            read_lease(raw)
            for raw in self.cluster.all("Lease")
            if (raw["metadata"].get("labels") or {}).get("backstay.dev/component") == COMPONENT_HOOK
        ]

    def hold_pod(
        self, holder: str, *opened: OpenHook, policy: str, pod: str = "db-0"
    ) -> dict[str, Any]:
        """The Lease of a pod, as another run has it, with one hook of its own or those given."""
        (uid,) = (
            raw["metadata"]["uid"]
            for raw in self.cluster.all("Pod")
            if raw["metadata"]["name"] == pod
        )
        quiet = QuietPod(namespace="shop", pod=pod, uid=uid)
        for hook in opened or (THEIRS,):
            quiet = quiet.with_open(hook)
        lease = make_lease(
            quiet,
            namespace=SYSTEM, holder=holder, policy=policy, run_id=holder.partition("/")[0],
            job=f"backstay-{policy}-1", now=self.clock.now(),
        )  # fmt: skip
        return self.cluster.put(lease)

    def finish(
        self, pod: str = "finish-a", *, holder: str = "", policy: str = "", alone: bool = False,
        is_gone: Callable[[str], bool] = lambda _: False,
        stopped: Callable[[], bool] = lambda: False, only: str = "", **changed: Any,
    ) -> None:  # fmt: skip
        """What the controller's Job does, or a terminal, for each Lease that is there, or one."""
        ports = self.ports(**changed)
        assert ports.execute is not None
        leases = HookLeases(
            reader=ports.reader, writer=ports.writer, clock=ports.clock, namespace=SYSTEM,
            holder=holder or f"finish/{pod}",
        )  # fmt: skip
        commands = Commands(
            execute=ports.execute, reader=ports.reader, reporter=ports.reporter, clock=ports.clock
        )
        # As a kubelet has it: a pod that holds a Lease is there, until it ends.
        own = [] if holder else [manifest("Pod", pod, SYSTEM, status={"phase": "Running"})]
        try:
            for raw in own:
                self.cluster.put(raw)
            for lease in [one for one in self.leases() if only in ("", one.name)]:
                finisher = Finisher(
                    leases=leases,
                    commands=commands,
                    reader=ports.reader,
                    is_gone=is_gone,
                    stopped=stopped,
                )
                finish_lease(lease.name, finisher, policy=policy or lease.policy, alone=alone)
        finally:
            for raw in own:
                self.cluster.put(raw | {"status": {"phase": "Failed"}})
