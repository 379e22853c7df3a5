"""A cluster that publishes its inventory, with its manifest store, all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from reconciler.capture import message, record
from reconciler.engine.inventory import inventory_branch, read_inventory
from reconciler.engine.inventorypublishing import InventoryPublisher, Sources
from reconciler.model.errors import BackstayError
from reconciler.model.inventory import Inventory
from reconciler.model.run import (
    ClusterRef,
    Counts,
    NamespaceRecord,
    Outcome,
    PolicyRef,
    RunRecord,
    Trigger,
    VolumeRecord,
)
from reconciler.model.store import Write
from reconciler.plan.inventory import About
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.controller_world import Log, ManualClock
from tests.unit.engine.test_inventory import shop_cluster
from tests.unit.plan.inventories import UID

REVISION = "main@sha1:" + "4be1c9" + "0" * 34
ABOUT = About(cluster="prod-eu", labels={"env": "prod"}, revision=REVISION)


def run_record(
    policy: str, started: datetime, claims: tuple[str, ...] = ("data-db-0",)
) -> RunRecord:
    """A complete run of one namespace, ``shop``, in which one volume was left out."""
    volumes = [
        VolumeRecord(
            claim=claim,
            copy_method="Direct",
            why="copyMethod Direct",
            outcome=Outcome.COMPLETED,
            snapshot="a" * 64,
        )
        for claim in claims
    ]
    left_out = VolumeRecord(
        claim="cache", copy_method="Skip", why="rule 1", outcome=Outcome.SKIPPED
    )
    return RunRecord(
        name=message.make_run_id(policy, started, UID),
        policy=PolicyRef(name=policy, revision=REVISION, digest="sha256:" + "0" * 64),
        cluster=ClusterRef(name="prod-eu", uid=UID, version="v1.36.3"),
        trigger=Trigger.SCHEDULE,
        started=started,
        finished=started + timedelta(minutes=1),
        outcome=Outcome.COMPLETED,
        namespaces=(
            NamespaceRecord(
                name="shop",
                outcome=Outcome.COMPLETED,
                captured=started,
                objects=Counts(),
                volumes=(*volumes, left_out),
            ),
        ),
    )


class InventoryWorld:
    """``world.look()`` is what follows a cycle."""

    def __init__(self, uid: str = UID) -> None:
        self.clock = ManualClock()
        self.cluster = shop_cluster(uid=uid)
        self.log = Log()
        self.remote = FakeRemote()
        self.runs = FakeRemote()
        self.publisher = InventoryPublisher()
        self.opened = 0
        self.keys_missing: BackstayError | None = None

    @contextmanager
    def _inventory(self) -> Iterator[FakeManifestStore]:
        self.opened += 1
        yield FakeManifestStore(self.remote)

    @contextmanager
    def _manifests(self) -> Iterator[FakeManifestStore]:
        if self.keys_missing is not None:
            raise self.keys_missing
        yield FakeManifestStore(self.runs)

    def look(self, about: About = ABOUT, **changed: object) -> None:
        """The publisher's turn."""
        sources = Sources(
            reader=self.cluster,
            inventory=self._inventory,
            manifests=self._manifests,
            reporter=self.log,
            clock=self.clock,
        )
        for name, value in changed.items():
            object.__setattr__(sources, name, value)
        self.publisher.publish(sources, about)

    def later(self, **duration: float) -> None:
        """Time passes, and the calls so far are forgotten."""
        self.clock.moment += timedelta(**duration)
        self.forget()

    def forget(self) -> None:
        """Forgets what was called."""
        self.cluster.requests.clear()
        self.remote.calls.clear()
        self.runs.calls.clear()
        self.opened = 0

    def restart(self) -> None:
        """The controller's process begins anew."""
        self.publisher = InventoryPublisher()

    def run(self, policy: str = "shop", claims: tuple[str, ...] = ("data-db-0",)) -> str:
        """A run begins and ends now; its id."""
        store = FakeManifestStore(self.runs)
        branch = f"clusters/prod-eu/{policy}"
        made = run_record(policy, self.clock.moment.replace(microsecond=0), claims)
        files = [Write("_run.yaml", record.render_record(made))]
        commit = store.commit(
            branch, store.tip(branch), files, message.render_message(made), when=made.finished
        )
        store.push({branch: commit})
        self.runs.calls.clear()
        return made.name

    @property
    def files(self) -> dict[str, bytes]:
        """What is on the branch."""
        head = self.remote.heads.get(inventory_branch("prod-eu"))
        return dict(self.remote.commits[head].files) if head else {}

    @property
    def commits(self) -> list[str]:
        """The first lines of the branch's commits, newest first."""
        head = self.remote.heads.get(inventory_branch("prod-eu"))
        return [commit.message.split("\n")[0] for commit in self.remote.history(head)]

    def published(self) -> Inventory:
        """What a reader gets."""
        return read_inventory(FakeManifestStore(self.remote), "prod-eu")


MORNING = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
