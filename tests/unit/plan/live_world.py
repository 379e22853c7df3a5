"""A cluster whose schedules were made from files, and what a plan of other files finds in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.change import Revision
from reconciler.model.finding import Finding
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.inventory import Inventory
from reconciler.model.plan import Desired, Plan
from reconciler.model.policy import Document, Value
from reconciler.plan.change import plan_change
from reconciler.plan.changelive import live_findings, once_approved
from reconciler.plan.livechange import LiveChange, live_change
from tests.unit.plan.change_world import FILES, NOW, config, inventory, revision
from tests.unit.plan.schedules_world import SmallCluster, history


@dataclass
class LiveWorld:
    """``LiveWorld().apply(FILES)``, then ``findings(HEAD)``."""

    grants: tuple[Grant, ...] = EVERYTHING
    labels: Mapping[str, str] = field(default_factory=dict)
    cluster: SmallCluster = field(init=False)
    edit: Callable[[Value], Value] = lambda value: value
    """What the language does not take yet, or no more."""
    _seen: dict[object, Revision] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Its Config allows what the policies want."""
        self.cluster = SmallCluster(config=config(grants=self.grants, **self.labels))

    def read(self, files: Mapping[str, str]) -> Revision:
        """The files as this cluster reads them, with their lines; each of them once."""
        key = (self.edit, tuple(sorted(files.items())))
        if key not in self._seen:
            read = revision(files, "head", grants=self.grants, **self.labels)
            documents = tuple(map(self._edited, read.parsed.documents))
            self._seen[key] = replace(read, parsed=replace(read.parsed, documents=documents))
        return self._seen[key]

    def _edited(self, document: Document) -> Document:
        return replace(document, value=self.edit(document.value)) if document.value else document

    def between(self, base: Mapping[str, str], head: Mapping[str, str]) -> tuple[Finding, ...]:
        """Findings of the plan of a change, which asks no cluster."""
        pair = self.read(base), self.read(head)
        return plan_change(*pair, inventory(), cluster="prod-eu", now=NOW).findings

    def desired(self, files: Mapping[str, str]) -> Desired:
        """The same for the controller."""
        parsed = self.read(files).parsed
        return Desired(parsed, parsed.problems, self.grants)

    def plan(self, files: Mapping[str, str]) -> Plan:
        """The controller's; with a word that approves whatever it would delete."""
        wanted = self.desired(files)
        made = self.cluster.plan(wanted)
        if not made.approval:
            return made
        word = f"Go\n\nBackstay-Approve: {made.approval}\n"
        return self.cluster.plan(wanted, history(made.revision, message=word, has_message=True))

    def apply(self, files: Mapping[str, str] = FILES) -> LiveWorld:
        """Executes that plan."""
        self.cluster.apply(self.plan(files))
        return self

    def change(self, files: Mapping[str, str], made: Plan | None = None) -> LiveChange:
        """What the plan changes of what is in force."""
        written = self.read(files).written
        made = made or self.plan(files)
        change = live_change(made, self.desired(files), self.cluster.observed())
        return change.with_lines(written)

    def findings(
        self,
        files: Mapping[str, str],
        known: Inventory | None = None,
        *,
        made: Plan | None = None,
        blind: bool = False,
    ) -> tuple[Finding, ...]:
        """What the plan leads with; ``blind``: nobody may list namespaces and claims."""
        made = made or self.plan(files)
        change = self.change(files, made)
        seen = None if blind else known or inventory()
        changes = change.findings(seen, cluster="prod-eu", now=NOW)
        if made.approval:
            word = f"Backstay-Approve: {made.approval}"
            wanted = self.desired(files)
            approved = self.cluster.plan(
                wanted, history(made.revision, message=word, has_message=True)
            )
            then = self.change(files, approved).findings(seen, cluster="prod-eu", now=NOW)
            changes = (*changes, *once_approved(made, changes, then))
        return live_findings(made, changes, change.head)
