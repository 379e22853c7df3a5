"""What `backstay coverage` judges: a live cluster, its inventory in Git, or manifests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from reconciler import policy
from reconciler.capture.manifestfiles import MAX_BYTES, ManifestFiles
from reconciler.cli import inventoryinput, policyfiles, policyinput, wiring
from reconciler.cli.installation import Installation
from reconciler.engine.controller import Setting, make_plan
from reconciler.engine.inventory import observe_inventory
from reconciler.engine.lastrecords import read_last_records
from reconciler.model.config import (
    DEFAULT_FILE,
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.errors import BackstayError, Bug, Problem, UsageError, one_line
from reconciler.model.finding import Place
from reconciler.model.grants import ASSUMED
from reconciler.model.inventory import Inventory
from reconciler.model.plan import History
from reconciler.model.policy import BackupPolicy, Kind, ParsedFiles
from reconciler.model.protection import Protection
from reconciler.plan.entries import find_entries
from reconciler.plan.inventory import About
from reconciler.plan.manifests import plan_inventory
from reconciler.plan.protection import points_wanted, protect

_OLD = timedelta(days=1)
"""A controller writes it at least once a day: one that is older may have stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    paths: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    default_namespace: str = "default"
    inventory_from: str | None = None
    offline: bool = False
    cluster: str = ""
    config_file: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    read_points: bool = True

    @property
    def from_git(self) -> bool:
        """Whether an inventory takes the cluster's place."""
        return self.offline or self.inventory_from is not None


@dataclass(frozen=True, slots=True)
class Judged:
    """The coverage, and what could not be read."""

    protection: Protection
    problems: tuple[Problem, ...] = ()
    no_points: str = ""
    """Why recovery points are not known."""


def judge(asked: Asked) -> Judged:
    """Reads everything and judges it; raises UsageError for what does not go together."""
    if asked.manifests or asked.from_git:
        return _judge_offline(asked)
    if asked.cluster:
        raise UsageError(
            "--cluster does not choose a cluster to look at",
            hint="that is --context; --cluster goes with --offline, --inventory or --manifests",
        )
    files = policyinput.other_way("coverage", "--inventory PATH|URL (or --manifests PATH)")
    with (
        wiring.without_config(files),
        wiring.without_a_cluster("--inventory PATH|URL, for what its controller publishes"),
        Installation(_config_file(asked), asked.kubeconfig, asked.context) as home,
    ):
        return _judge_live(asked, home)


def _config_file(asked: Asked) -> Path:
    return asked.config_file or Path(DEFAULT_FILE)


@dataclass(frozen=True, slots=True)
class _Intent:
    """What policies are in force, with the exemptions and problems of the same revision."""

    parsed: ParsedFiles
    problems: tuple[Problem, ...]
    revision: str
    policies: tuple[BackupPolicy, ...]

    def protect(self, inventory: Inventory, config: Config | None, *, points: bool) -> Protection:
        """Coverage at this moment."""
        places = {
            document.name: Place(document.file, document.line)
            for document in self.parsed.documents
            if document.kind == Kind.EXEMPTION
        }
        found = protect(
            self.policies,
            self.parsed.exemptions,
            inventory,
            now=wiring.clock().now(),
            revision=self.revision,
            shared_key=config.shared_key_in_tenants if config else True,
            points_known=points,
            places=places,
        )
        return replace(found, notes=(*found.notes, *self._left_out()))

    def _left_out(self) -> Iterable[str]:
        """Policies of which no version counts; what only they select looks as if nobody wanted."""
        taken = {one.name for one in self.policies}
        names = {
            one.name
            for one in self.parsed.documents
            if one.kind == Kind.BACKUP_POLICY and one.value is None and one.name
        }
        for name in sorted(names - taken):
            yield (
                f"policy {one_line(name)} has problems and counts for nothing here: what only it"
                " selects is shown as unprotected"
            )


def _judge_live(asked: Asked, home: Installation) -> Judged:
    setting = home.setting(reporter=wiring.reporter())
    intent = _intent_of_files(asked, setting.config) if asked.paths else _intent_in_force(setting)
    about = About(
        cluster=setting.config.cluster.name,
        labels=setting.config.cluster.labels,
        taken=setting.clock.now(),
        revision=intent.revision,
        own_namespace=setting.place.namespace,
    )
    inventory = observe_inventory(setting.reader, about)
    protection = intent.protect(inventory, setting.config, points=False)
    if not asked.read_points:
        return Judged(protection, intent.problems, "--no-points says so")
    try:
        with wiring.manifest_store(setting.config, wiring.resolver(home.cluster())) as store:
            wanted = points_wanted(protection)
            for one in intent.policies:
                if one.renamed_from and one.name in wanted:
                    # No run says so yet: its recovery points are still the former name's.
                    mine = wanted[one.name]
                    wanted[one.renamed_from] = wanted.get(one.renamed_from, set()) | mine
            reach = {
                one.name: protection.now - timedelta(seconds=one.objectives.rpo)
                for one in intent.policies
                if one.objectives.rpo is not None
            }
            last = read_last_records(store, setting.config.cluster.name, wanted, reach=reach)
    except BackstayError as error:
        told = f"last recovery points are not known: {error.message}"
        notes = (*protection.notes, told)
        return Judged(replace(protection, notes=notes), intent.problems, error.message)
    inventory = replace(inventory, points=last.points, older_points=last.older)
    protection = intent.protect(inventory, setting.config, points=True)
    notes = (*protection.notes, *_former_notes(protection, setting.config))
    return Judged(replace(protection, notes=notes), intent.problems)


def _intent_in_force(setting: Setting) -> _Intent:
    """The newest revision; where a document of it is broken, the policy's last good version."""
    cycle = make_plan(setting)
    if cycle.files is None or cycle.desired is None or cycle.observed is None:
        raise Bug("the steps of a plan saw nothing")
    revision = cycle.files.revision
    entries = find_entries(cycle.desired, cycle.observed, History(revision=revision))
    found = tuple(entry.wanted.policy for entry in entries.values() if entry.wanted)
    return _Intent(cycle.desired.parsed, cycle.problems, revision, found)


def _intent_of_files(asked: Asked, config: Config | None) -> _Intent:
    read = policyinput.read_policies(asked.paths, config)
    parsed = policy.parse_files(read.files, config)
    problems = (*read.problems, *parsed.problems)
    if asked.paths and not read.files and not problems:
        raise UsageError(
            f"there is no policy file in {', '.join(asked.paths)}",
            hint="name the folder with the policies",
        )
    return _Intent(parsed, problems, read.revision, parsed.policies)


def _judge_offline(asked: Asked) -> Judged:
    """Against the inventory, manifests, or manifests with what the inventory knows of a cluster."""
    policyinput.check_cluster(asked.cluster)
    config = policyinput.load_config(
        asked.config_file,
        asked.paths,
        verb="coverage",
        more="--manifests PATH" if asked.manifests else "--inventory PATH|URL",
    )
    known = (
        inventoryinput.read_inventory(
            asked.inventory_from,
            cluster=asked.cluster or (config.cluster.name if config else None),
            config=config,
        )
        if asked.from_git
        else None
    )
    config = _for_cluster(config, known, asked.cluster)
    intent = _intent_of_files(asked, config)
    if not asked.manifests:
        if known is None:
            raise Bug("neither an inventory nor manifests")
        if config is not None:
            known = replace(known, labels=config.cluster.labels)
        protection = intent.protect(known, config, points=True)
        notes = (
            *protection.notes,
            *_age_notes(known, protection.now),
            *_former_notes(protection, config),
        )
        return Judged(replace(protection, notes=notes), intent.problems)
    files = _read_manifests(asked.manifests)
    planned = plan_inventory(
        (one.body for one in files.objects),
        cluster=config.cluster.name if config else "",
        labels=config.cluster.labels if config else {},
        own_namespace=known.own_namespace if known else wiring.own_namespace(),
        default_namespace=asked.default_namespace,
        known=known,
    )
    protection = intent.protect(planned.inventory, config, points=False)
    notes = (
        *protection.notes,
        *planned.notes,
        *_manifest_notes(files, config),
        *_age_notes(known, protection.now),
    )
    return Judged(
        replace(protection, notes=notes),
        (*intent.problems, *files.problems),
        "what is not deployed yet has none",
    )


def _for_cluster(config: Config | None, known: Inventory | None, name: str) -> Config | None:
    """Config, or what stands for it, with the cluster that is judged; None: nobody named one."""
    name = name or (known.cluster if known else "")
    if config is not None and (not name or config.cluster.name == name):
        return config
    if not name:
        return None
    # Another cluster of the fleet: Config's labels are not its own.
    cluster = ClusterConfig(name, known.labels if known else {})
    if config is not None:
        return replace(config, cluster=cluster)
    return Config(
        cluster=cluster,
        policy_source=PolicySourceConfig(url=""),
        manifest_store=ManifestStoreConfig(url=""),
        image="",
        shared_key_in_tenants=True,
        grants=ASSUMED,
    )


def _read_manifests(paths: tuple[str, ...]) -> ManifestFiles:
    """Raises UsageError where there is nothing to judge: silence must not pass for success."""
    read = policyfiles.collect(paths, stdin_name="stdin.yaml", most=MAX_BYTES)
    found = ManifestFiles(problems=list(read.problems))
    for name, data in read.files.items():
        found.read(name, data)
    if not found.objects and not found.problems:
        raise UsageError(
            f"there is no Kubernetes manifest in {', '.join(paths)}",
            hint="render it first, such as: kustomize build DIR | backstay coverage --manifests -",
        )
    return found


def _age_notes(known: Inventory | None, now: datetime) -> Iterable[str]:
    if known is not None and known.taken is not None and now - known.taken > _OLD:
        yield (
            f"the inventory is of {known.taken:%Y-%m-%dT%H:%M:%SZ}: what the cluster got or lost"
            " since then, and newer recovery points, are not known"
        )


def _former_notes(protection: Protection, config: Config | None) -> Iterable[str]:
    """Under a new name every history begins again: what was before is there, and counts not."""
    old = config.cluster.renamed_from if config else ""
    if old and any(line.never for line in protection.lines):
        yield (
            f"this cluster was called {old}: its recovery points of then stay on clusters/{old}/…"
            f" (backstay log POLICY --cluster {old}), and count for nothing here, because their"
            " repositories get no new ones"
        )


def _manifest_notes(files: ManifestFiles, config: Config | None) -> Iterable[str]:
    if files.others:
        count = files.others
        yield f"{count} document{'s' * (count > 1)} are no Kubernetes objects and were passed over"
    if config is None:
        yield (
            "no cluster was named: policies for other clusters count here, and exemptions for"
            " certain clusters do not; give --cluster or --config"
        )
