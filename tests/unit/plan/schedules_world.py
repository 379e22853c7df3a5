"""Values that the tests of plans share: policies, a small cluster that applies, a fixed time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.errors import Problem
from reconciler.model.plan import Action, Desired, History, Observed, Plan
from reconciler.model.policy import (
    BackupPolicy,
    CopyMethod,
    Document,
    NamespaceSelector,
    ParsedFiles,
    Repository,
    Retention,
    Schedule,
    Selector,
    Volumes,
)
from reconciler.model.store import Descends
from reconciler.plan.cronjob import Place
from reconciler.plan.schedules import plan_schedules

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
NAMESPACE = "backstay-system"
PLACE = Place(namespace=NAMESPACE)
REV1 = "main@sha1:" + "1" * 40
REV2 = "main@sha1:" + "2" * 40
REV3 = "main@sha1:" + "3" * 40
CONFIG = Config(
    cluster=ClusterConfig("prod-eu"),
    policy_source=PolicySourceConfig(url="ssh://git@git.example.org/policies.git", path="policies"),
    manifest_store=ManifestStoreConfig(url="ssh://git@git.example.org/captures.git"),
    image="registry.example.org/backstay:0.1.0",
)
MAIN = Repository(name="main", url="s3:https://s3/b/{cluster}/{namespace}", secret_ref="restic")


def policy(name: str, cron: str = "17 2 * * *", *, suspend: bool = False) -> BackupPolicy:
    """A small policy that selects the namespace of its own name."""
    return BackupPolicy(
        name=name,
        schedule=Schedule(cron),
        selector=Selector(namespaces=NamespaceSelector(names=(name,))),
        volumes=Volumes(repository="main", copy_method=CopyMethod.DIRECT),
        retention=Retention(keep_daily=7),
        suspend=suspend,
    )


def good(value: BackupPolicy, file: str = "") -> Document:
    """A document without a problem, in a file of the policy's name."""
    return Document(
        file=file or f"policies/{value.name}.yaml",
        index=0,
        kind="BackupPolicy",
        name=value.name,
        value=value,
    )


def broken(name: str, file: str = "", *, kind: str = "BackupPolicy", held: str = "") -> Document:
    """A document with a problem; an empty name can't be read."""
    return Document(file=file or f"policies/{name}.yaml", index=0, kind=kind, name=name, held=held)


def desired(*documents: Document, problems: tuple[Problem, ...] = ()) -> Desired:
    """One revision; broken documents get a problem each where none is given."""
    found = problems or tuple(
        Problem(file=d.file, line=3, column=5, message="unknown field 'scheduel'", document=d.index)
        for d in documents
        if d.value is None and not d.held
    )
    repository = Document(
        file="admin/repositories.yaml", index=0, kind="Repository", name="main", value=MAIN
    )
    return Desired(ParsedFiles((*documents, repository), found), found)


def policies(*names: str) -> Desired:
    """One good revision with these policies."""
    return desired(*(good(policy(name)) for name in names))


def history(
    revision: str = REV1, last: str = "", descends: Descends = Descends.YES, **more: Any
) -> History:
    """A revision and what is remembered."""
    return History(revision=revision, last=last, descends=descends, **more)


@dataclass
class SmallCluster:
    """Objects of one namespace; applies plans as a server would: with defaults, and uids."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    remembered: str = ""
    config: Config = CONFIG
    deleted: list[str] = field(default_factory=list)

    def plan(self, wanted: Desired, past: History | None = None, now: datetime = NOW) -> Plan:
        """What the controller would do; without a history the revision is an honest successor."""
        known = past or history(REV2 if self.remembered else REV1)
        return plan_schedules(
            replace(wanted, grants=self.config.grants),
            self.observed(),
            replace(known, last=known.last or self.remembered),
            self.config,
            place=PLACE,
            now=now,
        )

    def apply(self, plan: Plan) -> Plan:
        """Executes a plan and returns it."""
        for change in plan.pending:
            key = (change.object.kind, change.object.name)
            if change.action is Action.DELETED:
                found = self.objects.pop(key)
                assert found["metadata"]["uid"] == change.uid
                self.deleted.append(str(change.object))
            else:
                assert change.body is not None
                self.put(change.body)
        self.remembered = plan.remember or self.remembered
        return plan

    def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Stores an object as the API server would show it."""
        stored: dict[str, Any] = copy.deepcopy(dict(body))
        key = (stored["kind"], stored["metadata"]["name"])
        stored["metadata"].setdefault("uid", f"uid-{key[0]}-{key[1]}".lower())
        stored["metadata"]["resourceVersion"] = "7"
        if stored["kind"] == "CronJob" and "schedule" in stored["spec"]:
            pod = stored["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            pod.update(dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
            pod["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["defaultMode"] = 420
        self.objects[key] = stored
        return stored

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Objects of a kind by name."""
        return {name: raw for (found, name), raw in sorted(self.objects.items()) if found == kind}

    def observed(self) -> Observed:
        """What a complete listing gives."""
        copies = {kind: copy.deepcopy(self.of(kind)) for kind in ("CronJob", "ConfigMap", "Job")}
        return Observed(
            cron_jobs=tuple(copies["CronJob"].values()),
            config_maps=tuple(copies["ConfigMap"].values()),
            jobs=tuple(copies["Job"].values()),
        )


def job_using(config_map: str, name: str = "manual-1") -> dict[str, Any]:
    """A Job whose pod mounts a ConfigMap."""
    volumes = [{"name": "policy", "configMap": {"name": config_map}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"volumes": volumes}}},
    }


def actions(plan: Plan) -> list[tuple[str, str]]:
    """(action, kind/name) of every line."""
    return [(str(c.action), f"{c.object.kind}/{c.object.name}") for c in plan.changes]
