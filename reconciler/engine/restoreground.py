"""Definitions and namespaces: what everything else of a restore stands on.

A namespace carries `naming.RESTORING` from the moment it exists until its default service account
is what was captured: the cluster makes that account by itself, so a restore that was killed in
between could not tell a bare account of its own namespace from one that somebody made bare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from reconciler.engine.restorecontext import RestorePorts
from reconciler.engine.restorecreate import Creator
from reconciler.engine.restoremarks import bare, is_marked, is_shared, marked
from reconciler.model import kinds, naming
from reconciler.model.errors import Refused
from reconciler.model.objects import folder_of
from reconciler.model.restore import Phase, RestoreAction, RestorePlan, RestoreStep

_PATIENCE = 60
"""Seconds that a definition or a namespace has to become usable."""


class Ground:
    """Makes what a plan says of definitions and namespaces, until it can be built upon."""

    def __init__(self, world: RestorePorts, creator: Creator, plan: RestorePlan) -> None:
        self._world = world
        self._creator = creator
        self._plan = plan
        self._accounts = {
            step.ref.namespace: step
            for step in _wanted(plan)
            if (step.ref.group, step.ref.kind, step.ref.name) == ("", "ServiceAccount", "default")
        }
        """Default service accounts by namespace."""
        self.made: set[str] = set()
        """Paths of those that came with their namespace, so not with the configuration."""

    def make_definitions(self) -> int:
        """Creates them and waits until their kinds are served; also for those of an earlier try."""
        created = self._creator.create_all(
            [step for step in _wanted(self._plan) if step.phase is Phase.DEFINITIONS]
        )
        for step in self._awaited():
            ready = partial(self._is_served, step)
            self._wait(f"definition {step.ref.name} is served", ready)
        return created

    def _awaited(self) -> Iterator[RestoreStep]:
        unserved = {
            folder_of(step.ref.group, step.ref.kind)
            for step in _wanted(self._plan)
            if step.resource is None
        }
        for step in self._plan.steps:
            if step.phase is Phase.DEFINITIONS and (
                step.action is RestoreAction.CREATE
                or (step.action is RestoreAction.KEEP and _defined(step) in unserved)
            ):
                yield step

    def make_namespaces(self) -> int:
        """Creates them with their default service accounts."""
        steps = [step for step in _wanted(self._plan) if step.phase is Phase.NAMESPACES]
        made: list[RestoreStep] = []
        created = self._creator.create_all(steps, partial(self._make_namespace, made))
        for step in made:
            self._wait(
                f"namespace {step.ref.name} has its default service account",
                partial(self._has_account, step.ref.name),
            )
        accounts = [self._accounts[s.ref.name] for s in made if s.ref.name in self._accounts]
        self.made.update(account.path for account in accounts)
        created += self._creator.create_all(accounts, self._complete_account)
        for step in made:
            account = self._accounts.get(step.ref.name)
            if account is None or account.path not in self._creator.refused:
                self._world.writer.apply(step.manifest)
        return created

    def _make_namespace(self, made: list[RestoreStep], step: RestoreStep) -> bool:
        found = self._world.reader.get(kinds.NAMESPACES, step.ref.name)
        if found is not None and not is_marked(found):
            self._creator.tell_kept(step)
            return False
        # Applied, not created: taking the mark away again is then one more apply.
        manifest = marked(step.manifest, self._mark_for(step))
        if is_shared(self._world.writer.apply(manifest)) and found is None:
            # Somebody made it in the very moment of our apply: it is theirs (I12).
            self._world.writer.apply(bare(manifest))
            self._creator.tell_kept(step)
            return False
        made.append(step)
        return True

    def _mark_for(self, step: RestoreStep) -> str:
        name, mapping = step.ref.name, self._plan.mapping
        source = next((old for old, new in mapping.items() if new == name), "")
        return naming.restoring(self._plan.run_id, namespace=name, source=source)

    def _complete_account(self, step: RestoreStep) -> bool:
        self._world.writer.apply(step.manifest)
        return True

    def _has_account(self, namespace: str) -> bool:
        found = self._world.reader.get(kinds.SERVICE_ACCOUNTS, "default", namespace=namespace)
        return found is not None

    def _is_served(self, step: RestoreStep) -> bool:
        if step.resource is None:
            return False
        found = self._world.reader.get(step.resource, step.ref.name) or {}
        conditions = {
            condition["type"]: condition["status"]
            for condition in (found.get("status") or {}).get("conditions") or ()
        }
        return conditions.get("Established") == conditions.get("NamesAccepted") == "True"

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        for _ in range(_PATIENCE * 2):
            if ready():
                return
            self._world.clock.sleep(0.5)
        raise Refused(
            f"after {_PATIENCE} s it is still not so that {what}",
            hint="restore again: it goes on where it stopped",
        )


def _wanted(plan: RestorePlan) -> Sequence[RestoreStep]:
    return [step for step in plan.steps if step.action is RestoreAction.CREATE]


def _defined(definition: RestoreStep) -> str:
    """The folder of the kind that a CustomResourceDefinition defines."""
    spec = definition.manifest.get("spec") or {}
    kind = str((spec.get("names") or {}).get("kind", ""))
    return folder_of(str(spec.get("group", "")), kind)
