"""A controller with everything around it in memory: policies, a cluster, a clock, its log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import policy
from reconciler.engine.controller import Cycle, Setting, run_cycle
from reconciler.engine.telling import Teller
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.plan.cronjob import Place
from reconciler.plan.rights import CONTROLLER
from tests.fakes.cluster import FakeCluster
from tests.fakes.entitled import Entitled
from tests.fakes.policysource import FakePolicySource

NAMESPACE = "backstay-system"
CONFIG = Config(
    cluster=ClusterConfig("prod-eu"),
    policy_source=PolicySourceConfig(url="ssh://git@git.example.org/p.git", path="policies"),
    manifest_store=ManifestStoreConfig(url="ssh://git@git.example.org/captures.git"),
    image="backstay:1",
    shared_key_in_tenants=True,
)
REPOSITORY = b"""\
apiVersion: backstay.dev/v1alpha1
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
"""


def policy_yaml(name: str, cron: str = "17 2 * * *") -> bytes:
    """A policy that is executed by this version."""
    return f"""\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: {name}}}
spec:
  schedule: "{cron}"
  selector: {{namespaces: [{name}]}}
  volumes: {{copyMethod: Direct}}
  retention: {{keepDaily: 7}}
""".encode()


_READER = policy.Rereader()
"""As `backstay controller` has one: what did not change is not read again, in no world."""
BROKEN = policy_yaml("shop").replace(b"schedule:", b"scheduel:")


def files(*names: str, **more: bytes) -> dict[str, bytes]:
    """A revision's files: a repository, one policy per name, and more by name."""
    found = {f"policies/{name}.yaml": policy_yaml(name) for name in names}
    found |= {f"policies/{name}.yaml": data for name, data in more.items()}
    return found | {"policies/repository.yaml": REPOSITORY}


@dataclass(slots=True)
class ManualClock:
    """Time that moves when it is told to."""

    moment: datetime = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)

    def now(self) -> datetime:
        """As the port says."""
        return self.moment

    def sleep(self, seconds: float) -> None:
        """Moves it."""
        self.moment += timedelta(seconds=seconds)


@dataclass(slots=True)
class Log:
    """A Reporter that keeps what it is told: (level, message, fields)."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def event(self, message: str, **fields: object) -> None:
        """As the port says."""
        self.lines.append(("info", message, fields))

    def warning(self, message: str, **fields: object) -> None:
        """As the port says."""
        self.lines.append(("warning", message, fields))

    def progress(self, what: str, done: int, total: int) -> None:
        """As the port says."""
        self.lines.append(("progress", what, {"done": done, "total": total}))

    def of(self, message: str) -> list[dict[str, object]]:
        """The fields of every line with this message."""
        return [fields for _, said, fields in self.lines if said == message]

    def take(self) -> list[str]:
        """All messages since the last call."""
        messages = [said for _, said, _ in self.lines]
        self.lines.clear()
        return messages


class ControllerWorld:
    """``world.cycle()`` is one cycle against what ``world.source.push(...)`` put there."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.cluster = FakeCluster(now=self.clock.now)
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.source = FakePolicySource()
        self.log = Log()
        self.teller = Teller(self.log, self.clock)
        entitled = Entitled(self.cluster, CONTROLLER, NAMESPACE)
        self.setting = Setting(
            config=CONFIG,
            place=Place(namespace=NAMESPACE),
            holder="backstay-controller-1/uid",
            source=self.source,
            reader=entitled,
            writer=entitled,
            reporter=self.log,
            clock=self.clock,
            parse=_READER.parse,
        )
        self.cluster.writes.clear()
        self.cluster.requests.clear()

    def cycle(self, **changed: Any) -> Cycle:
        """One cycle; ``changed`` replaces ports or the like for it."""
        return run_cycle(replace(self.setting, **changed), self.teller)

    def names(self, kind: str) -> list[str]:
        """Objects of a kind in Backstay's namespace."""
        found = self.cluster.all(kind)
        return [r["metadata"]["name"] for r in found if r["metadata"].get("namespace") == NAMESPACE]

    def cron_job(self, name: str) -> dict[str, Any]:
        """A policy's CronJob."""
        jobs = self.cluster.all("CronJob")
        return next(job for job in jobs if job["metadata"]["name"] == f"backstay-{name}")
