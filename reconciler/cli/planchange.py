"""``backstay plan --base``: what a change of the policies will do, from Git alone.

Nothing of the repository is executed or checked out. A Config is read only where it was named:
one that lies in the repository may be a fork's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from reconciler.adapters.gitrevisions import GitRevisions
from reconciler.cli import inventoryinput, options, planforms, policyfiles, wiring
from reconciler.model.change import ChangePlan, Revision
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.errors import UsageError
from reconciler.model.finding import FINDINGS, Finding, Severity
from reconciler.model.grants import ASSUMED
from reconciler.model.inventory import Inventory
from reconciler.model.store import Descends, PolicyFiles
from reconciler.plan.change import plan_change
from reconciler.plan.changelive import LIVE, LIVE_ONLY
from reconciler.policy import is_policy_file
from reconciler.policy.revisions import read_revision
from reconciler.report import change as report
from reconciler.report import changecomment

WORK_TREE = "the work tree"
_NO_CONFIG = (
    "no Config was given: what policies may use in the folder where they lie (grants), and whether"
    " Direct is allowed (sharedKeyInTenants), is not known; give --config"
)
NEED_INVENTORY = frozenset(
    {
        "coverage-lost",
        "coverage-gained",
        "claim-twice",
        "copy-impossible",
        "method-changed",
        "grant-excludes",
        "protector-changed",
        "restore-no-point",
        "selects-nothing",
    }
)
"""Of globs, labels and claims nothing is known without one: such a gate would be open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line names; ``head`` empty: the files as they lie in the work tree."""

    base: str
    head: str = ""
    repository: Path = Path()
    path: str = ""
    merge_base: bool = False
    config: Config | None = None
    inventory: Inventory | None = None


def make_plan(asked: Asked) -> ChangePlan:
    """Reads both revisions and plans the change between them."""
    config = for_cluster(asked.config, asked.inventory) or _assumed(asked.inventory)
    folder = asked.path or (asked.config.policy_source.path if asked.config else "")
    notes = [] if asked.config else [_NO_CONFIG]
    with GitRevisions(asked.repository) as clone:
        tip = clone.commit(asked.base, history=asked.merge_base)
        head_commit = clone.commit(asked.head or "HEAD", history=asked.merge_base)
        start = clone.fork_point(tip, head_commit) if asked.merge_base else tip
        if not asked.merge_base and clone.contains(head_commit, tip) is not True:
            notes.append(_behind(asked, shallow=clone.shallow))
        if start != tip:
            notes.append(
                f"what {asked.base} got since {asked.head or 'HEAD'} left it is left out: plan the"
                " merge to see both together"
            )
        before = clone.files(asked.base, start, folder)
        if asked.head:
            after = clone.files(asked.head, head_commit, folder)
        else:
            after = _work_tree(clone.root, folder)
    if not before.path_found and not after.path_found:
        raise UsageError(
            f"in neither revision there is a folder {folder}",
            hint=f"--path names a folder: {_folder_of(folder)}",
        )
    if not after.path_found:
        notes.append(f"the folder {folder} is gone: nothing is deleted as long as it is")
    plan = plan_change(
        _revision(before, config),
        _revision(after, config),
        asked.inventory,
        cluster=config.cluster.name if config else "",
        now=wiring.clock().now(),
    )
    return replace(plan, notes=(*plan.notes, *notes))


def _folder_of(path: str) -> str:
    """What is meant where somebody names a file."""
    if not is_policy_file(path):
        return "the one with the policies"
    parent = str(PurePosixPath(path).parent)
    return "leave it out for the repository's root" if parent == "." else f"--path {parent}"


def _behind(asked: Asked, *, shallow: bool) -> str:
    head = asked.head or "HEAD"
    if shallow:
        return (
            f"this shallow clone can't tell whether {head} contains {asked.base}: what was merged"
            " there since looks undone here"
        )
    return (
        f"{head} does not contain all of {asked.base}: what was merged there since looks undone"
        " here; plan the merge, or give --merge-base"
    )


def for_cluster(config: Config | None, inventory: Inventory | None) -> Config | None:
    """Config, but for the cluster whose inventory was chosen: another of the fleet, or one in which
    Backstay runs in another namespace than here."""
    if config is None or inventory is None:
        return config
    config = replace(config, own_namespace=inventory.own_namespace)
    if inventory.cluster in {"", config.cluster.name}:
        return config
    # Config's labels are its own cluster's.
    return replace(config, cluster=ClusterConfig(inventory.cluster, inventory.labels))


def _assumed(inventory: Inventory | None) -> Config | None:
    """What policies are held against without a Config: the inventory's cluster, and no rights."""
    if inventory is None or not inventory.cluster:
        return None
    return Config(
        cluster=ClusterConfig(inventory.cluster, inventory.labels),
        policy_source=PolicySourceConfig(url=""),
        manifest_store=ManifestStoreConfig(url=""),
        image="",
        shared_key_in_tenants=True,
        grants=ASSUMED,
        own_namespace=inventory.own_namespace,
    )


def _revision(files: PolicyFiles, config: Config | None) -> Revision:
    read = read_revision(files.files, config, shown=files.revision, problems=files.problems)
    return replace(read, path_found=files.path_found)


def _work_tree(root: Path, folder: str) -> PolicyFiles:
    """The files as they lie on the disk, named from the root of the repository."""
    place = root / folder
    if not place.is_dir():
        return PolicyFiles(
            revision=WORK_TREE, descends=Descends.UNKNOWN, files={}, path_found=False
        )
    found = policyfiles.collect((str(place),), stdin_name="")

    def named(file: str) -> str:
        return Path(file).relative_to(root).as_posix()

    return PolicyFiles(
        revision=WORK_TREE,
        descends=Descends.UNKNOWN,
        files={named(file): data for file, data in found.files.items()},
        problems=tuple(replace(one, file=named(one.file)) for one in found.problems),
    )


def find_inventory(
    where: str | None, cluster: str | None, config: Config | None
) -> Inventory | None:
    """What ``--inventory`` names, else what Config does; None where nobody names one.

    Raises UsageError for one of another cluster than ``--cluster`` names, or else Config.
    """
    if where is None and (config is None or config.inventory is None):
        if cluster is not None:
            raise UsageError("--cluster chooses an inventory", hint="give --inventory too")
        return None
    asked = cluster or (config.cluster.name if config else None)
    return inventoryinput.read_inventory(where, cluster=asked, config=config)


def show(plan: ChangePlan, output: str) -> None:
    """Prints it."""
    planforms.show(
        output,
        partial(report.to_json, plan),
        text=partial(report.render_text, plan),
        markdown=partial(changecomment.render_comment, plan),
        github=partial(changecomment.render_github, plan),
    )


def parse_fail_on(given: Iterable[str], *, live: bool) -> frozenset[str]:
    """Ids and severities, apart by commas; raises UsageError for what is neither, with those that
    this plan can have (`check_fail_on`)."""
    words = options.fail_on_words(given)
    known = [*map(str, Severity), *FINDINGS]
    others = _others(live=live)
    offered = [word for word in known if word not in others]
    for word in sorted(words):
        if word not in known:
            near = difflib.get_close_matches(word, offered, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"--fail-on {word} is no finding", hint=f"{meant}there are {', '.join(offered)}"
            )
    return words


def _others(*, live: bool) -> frozenset[str]:
    """Ids that only the other kind of plan has."""
    return frozenset(FINDINGS.keys() - LIVE) if live else LIVE_ONLY


def check_fail_on(words: frozenset[str], *, live: bool, inventory: bool) -> None:
    """Raises UsageError for an id that this plan can't have: no gate that is always open."""
    others = words & _others(live=live)
    if others:
        what = "a plan against a cluster" if live else "a plan with --base"
        raise UsageError(
            f"--fail-on: {what} has no finding {', '.join(sorted(others))}",
            hint="give --base, which reads them on both sides" if live else "leave it out",
        )
    blind = words & NEED_INVENTORY
    if blind and not live and not inventory:
        raise UsageError(
            f"--fail-on {','.join(sorted(blind))} needs the cluster's inventory",
            hint="give --inventory; without one only findings such as policy-removed,"
            " selector-changed or retention-shortened are complete",
        )


def is_unwanted(findings: Iterable[Finding], fail_on: frozenset[str]) -> bool:
    """Whether there is a finding that ``--fail-on`` names."""
    return any(one.id in fail_on or str(one.severity) in fail_on for one in findings)


def exit_code(plan: ChangePlan, fail_on: frozenset[str], *, detailed: bool) -> int:
    """4 for problems, 1 for a finding that must not be, else as Terraform's for ``detailed``."""
    if plan.problems:
        return 1 if detailed else 4
    if is_unwanted(plan.findings, fail_on):
        return 1
    return 2 if detailed and not plan.empty else 0
