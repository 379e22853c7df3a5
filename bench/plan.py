"""What plans, policy files and idle cycles cost, and how that grows. No cluster is asked.

    .venv/bin/python -m bench.plan --rounds 3

- *plan*: the schedules of all policies against CronJobs that are there already, and what each would
  protect of the cluster's namespaces and claims: `backstay plan` without reading the cluster;
- *change*: the same policies against themselves with one in a hundred changed, and an inventory;
- *files*: a file per policy from bytes to values, then again with one of them changed;
- *cycle*: the controller's second look at a cluster in memory where nothing changed.

Each measurement is a process of its own, start-up left out; memory is that process' own peak, with
what it plans from.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import usage
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import ClusterConfig, Config, ManifestStoreConfig, PolicySourceConfig
from reconciler.model.inventory import Inventory, NamespaceInventory, PointDigest
from reconciler.model.objects import Resource
from reconciler.model.plan import Desired, History, Observed, Plan
from reconciler.model.policy import ParsedFiles
from reconciler.model.run import Outcome
from reconciler.model.store import Descends
from reconciler.plan.change import plan_change
from reconciler.plan.coverage import cover, select_all
from reconciler.plan.cronjob import Place
from reconciler.plan.schedules import plan_schedules
from reconciler.policy.parsing import parse_files
from reconciler.policy.rereading import Rereader
from reconciler.policy.revisions import read_revision
from tests.unit.engine.controller_world import ControllerWorld

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SYSTEM = "backstay-system"
REVISION = "main@sha1:" + "1" * 40
CONFIG = Config(
    cluster=ClusterConfig("bench"),
    policy_source=PolicySourceConfig(url="ssh://git@git.example.org/p.git", path="policies"),
    manifest_store=ManifestStoreConfig(url="ssh://git@git.example.org/captures.git"),
    image="backstay:1",
    shared_key_in_tenants=True,
)
ZONES = ("Etc/UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
REPOSITORY = b"""\
apiVersion: backstay.dev/v1alpha1
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each."""

    policies: int
    namespaces: int
    claims: int

    def __str__(self) -> str:
        return f"{self.policies} policies, {self.namespaces} namespaces, {self.claims} claims"


BASE = Size(1000, 5000, 20_000)
DOUBLED = (Size(2000, 5000, 20_000), Size(1000, 10_000, 20_000), Size(1000, 5000, 40_000))


def policy_file(number: int, days: int = 7) -> bytes:
    """One policy: most select by name, one in ten by label; times and zones differ."""
    names = f'names: ["team-{number}-*", app-{number}], exclude: ["*-preview"]'
    selector = f"matchLabels: {{team: t{number}}}" if number % 10 == 0 else names
    return f"""\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: policy-{number}}}
spec:
  schedule: {{cron: "H {number % 24} * * *", timeZone: {ZONES[number % len(ZONES)]}}}
  objectives: {{rpo: 26h}}
  selector:
    namespaces: {{{selector}}}
  volumes:
    repository: main
    rules:
      - {{match: {{claims: ["*-cache", scratch]}}, copyMethod: Skip, reason: rebuilt on start}}
    copyMethod: Direct
  retention: {{keepLast: 3, keepDaily: {days}, keepWeekly: 5, keepMonthly: 12}}
""".encode()


def policy_files(count: int) -> dict[str, bytes]:
    """A file per policy, and one for the Repository."""
    found = {f"policies/policy-{n}.yaml": policy_file(n) for n in range(count)}
    return found | {"policies/repository.yaml": REPOSITORY}


def namespaces(size: Size) -> list[Namespace]:
    """As many for each policy; their labels say whose they are."""
    found = []
    for number in range(size.namespaces):
        team = number % size.policies
        name = f"team-{team}-{number // size.policies}"
        found.append(Namespace(name=name, labels={"team": f"t{team}", "env": "prod"}))
    return found


def claims(size: Size) -> dict[str, list[Claim]]:
    """By namespace: one in four is a cache."""
    names = [namespace.name for namespace in namespaces(size)]
    found: dict[str, list[Claim]] = {}
    for number in range(size.claims):
        name, order = names[number % len(names)], number // len(names)
        claim = "web-cache" if order % 4 == 3 else f"data-{order}"
        found.setdefault(name, []).append(
            Claim(
                namespace=name, name=claim, storage_class="fast", phase="Bound",
                access_modes=("ReadWriteOnce",), size=1 << 30,
            )
        )  # fmt: skip
    return found


def parsed_files(size: Size) -> ParsedFiles:
    """The values; a bench with problems would measure something else."""
    parsed = parse_files(policy_files(size.policies), CONFIG)
    if parsed.problems:
        raise RuntimeError(str(parsed.problems[0]))
    return parsed


class Watch:
    """Seconds on the wall and of this process' CPU since it was made or asked last."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        """(wall, CPU)."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = wall - self._wall, cpu - self._cpu
        self._wall, self._cpu = wall, cpu
        return found


def plan_of(parsed: ParsedFiles, observed: Observed, last: str) -> Plan:
    """What a cycle of the controller would do."""
    history = History(revision=REVISION, descends=Descends.YES, last=last, path="policies")
    place = Place(namespace=SYSTEM)
    return plan_schedules(Desired(parsed), observed, history, CONFIG, place=place, now=NOW)


def forget_computed() -> None:
    """Empties the caches that making the world has filled: a command begins with none."""
    for module in [one for name, one in sys.modules.items() if name.startswith("reconciler.")]:
        for value in vars(module).values():
            if callable(getattr(value, "cache_clear", None)):
                value.cache_clear()


def measure_plan(size: Size) -> dict[str, float]:
    """From values to a plan with nothing to do, and its coverage."""
    parsed = parsed_files(size)
    first = plan_of(parsed, Observed(), "")
    bodies = [change.body for change in first.changes if change.body is not None]
    observed = Observed(
        cron_jobs=tuple(body for body in bodies if body["kind"] == "CronJob"),
        config_maps=tuple(body for body in bodies if body["kind"] == "ConfigMap"),
    )
    del first, bodies
    found, held = namespaces(size), claims(size)
    forget_computed()
    watch = Watch()
    plan = plan_of(parsed, observed, REVISION)
    chosen = select_all(parsed.policies, found, own_namespace=SYSTEM)
    lines = [cover(one, chosen[one.name], held, {}, shared_key=True) for one in parsed.policies]
    wall, cpu = watch.lap()
    covered = sum(len(one.claims) for one in lines)
    if not plan.empty or covered != size.claims:
        raise RuntimeError(f"{len(plan.pending)} changes, {covered} claims")
    return {"wall": wall, "cpu": cpu, "MiB": usage.peak_mib()}


def measure_change(size: Size) -> dict[str, float]:
    """Two revisions that were read, an inventory with ten runs of each policy → findings."""
    files = policy_files(size.policies)
    base = read_revision(files, CONFIG, shown="base")
    for number in range(0, size.policies, 100):
        files[f"policies/policy-{number}.yaml"] = policy_file(number, days=5)
    head = read_revision(files, CONFIG, shown="head")
    held = claims(size)
    inventory = Inventory(
        cluster="bench",
        uid="u",
        namespaces=tuple(
            NamespaceInventory(namespace=one, claims=tuple(held.get(one.name, ())))
            for one in sorted(namespaces(size), key=lambda one: one.name)
        ),
        points=tuple(points(size)),
    )
    forget_computed()
    watch = Watch()
    found = plan_change(base, head, inventory, cluster="bench", now=NOW)
    wall, cpu = watch.lap()
    shortened = [one for one in found.findings if one.id == "retention-shortened"]
    if len(shortened) != len(range(0, size.policies, 100)):
        raise RuntimeError(f"{len(shortened)} findings")
    return {"wall": wall, "cpu": cpu, "MiB": usage.peak_mib()}


def points(size: Size) -> Iterator[PointDigest]:
    """Ten days of each policy."""
    selected: dict[str, list[str]] = {}
    for one in namespaces(size):
        selected.setdefault(f"policy-{one.labels['team'][1:]}", []).append(one.name)
    for policy, names in selected.items():
        for day in range(10, 0, -1):
            yield PointDigest(
                policy=policy,
                run=f"{policy}-{day}",
                started=NOW - timedelta(days=day),
                outcome=Outcome.COMPLETED,
                namespaces=dict.fromkeys(names, Outcome.COMPLETED),
            )


def measure_files(size: Size) -> dict[str, float]:
    """Bytes to values from cold, and once more with one file changed."""
    files, reader = policy_files(size.policies), Rereader()
    watch = Watch()
    parsed = reader.parse(files, CONFIG)
    wall, cpu = watch.lap()
    files["policies/policy-1.yaml"] = policy_file(1, days=9)
    watch.lap()
    again = reader.parse(files, CONFIG)
    changed, changed_cpu = watch.lap()
    if parsed.problems or again.policies == parsed.policies:
        raise RuntimeError("it was not seen that one changed")
    return {
        "wall": wall, "cpu": cpu, "one changed": changed, "one changed cpu": changed_cpu,
        "files read again": reader.read,
        "MiB": usage.peak_mib(),
    }  # fmt: skip


def measure_cycle(size: Size) -> dict[str, float]:
    """The third cycle of a controller: nothing changed, and what it keeps is filled."""
    world, reader = ControllerWorld(), Rereader()
    world.source.push(policy_files(size.policies))
    for _ in range(2):
        world.cycle(parse=reader.parse)
    world.cluster.requests.clear()
    world.cluster.writes.clear()
    watch = Watch()
    cycle = world.cycle(parse=reader.parse)
    wall, cpu = watch.lap()
    if cycle.error is not None or world.cluster.writes:
        raise RuntimeError(f"{cycle.error}, {len(world.cluster.writes)} writes")
    requests = sum(world.cluster.requests.values())
    return {"wall": wall, "cpu": cpu, "requests": requests, "bytes": _bytes_read(world, reader)}


def _bytes_read(world: ControllerWorld, reader: Rereader) -> int:
    """How much JSON the lists of one more such cycle are."""
    pages, sizes = world.cluster.pages, list[int]()

    def weighed(resource: Resource, **given: str) -> Iterator[list[dict[str, Any]]]:
        for page in pages(resource, **given):
            sizes.append(len(json.dumps(page, separators=(",", ":"))))
            yield page

    world.cluster.pages = weighed  # type: ignore[method-assign]
    world.cycle(parse=reader.parse)
    return sum(sizes)


MEASURES = {
    "plan": measure_plan,
    "change": measure_change,
    "files": measure_files,
    "cycle": measure_cycle,
}
SIZES = {
    "plan": (BASE, *DOUBLED),
    "change": (BASE, *DOUBLED),
    "files": (BASE, DOUBLED[0]),
    "cycle": (Size(10, 50, 200), BASE),
}


def measure(name: str, size: Size) -> dict[str, float]:
    """One measurement in a process of its own."""
    numbers = map(str, (size.policies, size.namespaces, size.claims))
    done = subprocess.run(
        [sys.executable, "-m", "bench.plan", "--one", name, *numbers],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """All of it, or one measurement."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=MEASURES, action="append")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, *numbers = options.one
        print(json.dumps(MEASURES[name](Size(*map(int, numbers)))))
        return
    for name in options.only or MEASURES:
        for size in SIZES[name]:
            rounds = [measure(name, size) for _ in range(options.rounds)]
            medians = {
                key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]
            }
            print(f"{name}, {size}: {json.dumps(medians)}")


if __name__ == "__main__":
    main()
