"""``backstay verify``: prove the history of a manifest repository, as far as it can be proven."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitlocal import LocalManifests
from reconciler.adapters.gitsignature import parse_signers
from reconciler.cli import history, options, paging
from reconciler.engine.expiries import Expiries
from reconciler.engine.reading import PointFinder
from reconciler.engine.verifying import BranchWalk, Snapshots, check_contained, check_snapshots
from reconciler.engine.verifysealed import check_sealed
from reconciler.model.errors import BackstayError, PartialFailure, Refused, UsageError
from reconciler.plan.verify import Check, Verdict, Verification, check_of
from reconciler.report import verify as report

_EXIT_CODES = {Verdict.PROVEN: 0, Verdict.PROBLEM: 1, Verdict.UNPROVEN: PartialFailure.exit_code}


@click.command(name="verify", short_help="Prove the history of the manifest repository.")
@click.argument("policies", nargs=-1, metavar="[POLICY]...")
@click.option("--no-repositories", is_flag=True, help="Do not look for the restic snapshots.")
@click.option(
    "--allowed-signers", "signers", default=None,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Each commit must be signed by one of these: a file as `man ssh-keygen` has it.",
)  # fmt: skip
@click.option(
    "--contains", multiple=True, metavar="COMMIT",
    help="The history must contain this commit, a tip of an earlier report. May be repeated.",
)  # fmt: skip
@click.option(
    "--rewritten", "known", type=options.CommitId(), multiple=True, metavar="COMMIT",
    help="You know that the history below this commit (all digits) was rewritten on purpose: it"
    " says so. May be repeated.",
)  # fmt: skip
@history.clone_option
@history.cluster_option
@options.config_option
@options.output_option
@history.json_option
def command(
    policies: tuple[str, ...], no_repositories: bool, signers: Path | None,
    contains: tuple[str, ...], known: tuple[str, ...], clone: Path | None,
    cluster: str | None, config_file: Path, output: str, as_json: bool,
) -> int:  # fmt: skip
    """Prove that the branches of the policies hold what their runs say; of all without POLICY.

    Each commit follows the one before it and was made by a run of its policy; record, message and
    tree of each say the same; every restic snapshot that a record names exists. The snapshots need
    Config with the keys of the repositories, everything else a clone alone.

    Exit codes: 0 all that was asked for is proven, 1 a problem, 3 no problem was found, and not all
    could be answered.
    """
    _check_commits(contains)
    snapshots = Snapshots()
    with history.open_history(clone, cluster, config_file) as found:
        branches, commits, replaced = [], {}, dict[str, str]()
        expiries = Expiries(found.store, found.cluster, partial(_vouch, found, signers))
        for policy in policies or PointFinder(found.store, found.cluster).policies():
            _need_branch(found, policy)
            walk = BranchWalk(
                found.store, found.cluster, policy, shallow=found.shallow, snapshots=snapshots,
                known=known, promises=expiries,
            )  # fmt: skip
            branch = walk.walk()
            signed = _signatures(found, walk.commits, signers)
            sealed = check_sealed(found.store, found.cluster, policy)
            branches.append(replace(branch, checks=(*branch.checks, *sealed, signed)))
            commits[policy] = walk.commits
            replaced |= walk.replaced
        contained = check_contained(contains, commits, shallow=found.shallow, replaced=replaced)
        checks = (*_policies(found, commits), *contained, *_doubts(expiries), *_objects(found))
    skipped = Check(name="snapshots", verdict=Verdict.SKIPPED, message="--no-repositories")
    stored = (
        (skipped,)
        if no_repositories
        else tuple(_snapshots(snapshots, clone, found.cluster, config_file))
    )
    verification = Verification(
        cluster=found.cluster,
        at=SystemClock().now(),
        where=str(clone or "the manifest store of Config"),
        writer=f"backstay {version('backstay')}",
        branches=tuple(branches),
        checks=(*checks, *stored),
    )
    if output == "json" or as_json:
        click.echo(json.dumps(report.to_json(verification)))
    else:
        paging.show(report.text_lines(verification))
    return _EXIT_CODES[verification.verdict]


def _check_commits(commits: Sequence[str]) -> None:
    for sha in commits:
        if not re.fullmatch("[0-9a-f]{7,64}", sha):
            raise UsageError(f"--contains {sha} is no commit", hint="give 7 digits or more of one")


def _need_branch(found: history.History, policy: str) -> None:
    if found.store.tip(found.branch(policy)) is None:
        known = ", ".join(PointFinder(found.store, found.cluster).policies())
        raise Refused(
            f"there is no branch {found.branch(policy)}", hint=f"policies with runs: {known}"
        )


def _policies(found: history.History, walked: Collection[str]) -> Iterator[Check]:
    if not walked:
        # A branch that is gone is not seen where nobody named it: also if all of them are.
        told = f"cluster {found.cluster} has no branch of any policy, so nothing was looked at"
        yield Check(name="policies", verdict=Verdict.UNPROVEN, message=told)


def _vouch(found: history.History, signers: Path | None, commit: str) -> None:
    """What expired is believed of who may sign only, where it is asked who that is."""
    if signers is None:
        return
    parse_signers({"allowed_signers": signers.read_bytes()}, str(signers))
    for sha, why in found.store.signatures([commit], signers.resolve()):
        if why:
            raise Refused(f"commit {sha[:12]}, which says what expired: {why}")


def _doubts(expiries: Expiries) -> Iterator[Check]:
    for told in expiries.doubts:
        yield Check(name="expired", verdict=Verdict.UNPROVEN, message=told)


def _signatures(found: history.History, commits: Sequence[str], signers: Path | None) -> Check:
    if signers is None:
        told = "--allowed-signers says whose signature each commit must have"
        return Check(name="signatures", verdict=Verdict.SKIPPED, message=told)
    parse_signers({"allowed_signers": signers.read_bytes()}, str(signers))
    answers = found.store.signatures(commits, signers.resolve())
    wrong = [f"{sha}: {why}" for sha, why in answers if why]
    return check_of(
        "signatures",
        wrong,
        good=f"each commit is signed by one of {signers}",
        bad=f"{len(wrong)} commits are not signed by any of {signers}",
        count=len(commits),
    )


def _objects(found: history.History) -> Iterator[Check]:
    if not isinstance(found.store, LocalManifests):
        told = "a full clone (--clone) is needed to look at all files"
        yield Check(name="files", verdict=Verdict.SKIPPED, message=told)
        return
    wrong = found.store.check_objects()
    yield check_of(
        "files",
        [wrong] if wrong else [],
        good="git fsck: every object is what its name says",
        bad="git fsck found broken objects",
        count=1,
    )


def _snapshots(
    snapshots: Snapshots, clone: Path | None, cluster: str, config_file: Path
) -> Iterator[Check]:
    """Whether they exist; with the keys that Config names."""
    if not snapshots.named:
        yield Check(name="snapshots", verdict=Verdict.SKIPPED, message="no record names any")
        return
    if clone is not None and not config_file.exists():
        yield _unproven("no Config with the keys of the repositories: give --config")
        return
    from reconciler.adapters.keyring import SecretKeyring
    from reconciler.cli import wiring

    config = wiring.load_config(config_file)
    if config.cluster.name != cluster:
        yield _unproven(f"Config is of cluster {config.cluster.name}, and keys follow from that")
        return
    names = {ref.secret for ref, _ in snapshots.named}
    try:
        needed = any(config.credentials_of(name).secret_ref for name in names)
        client = wiring.cluster(None) if needed else None
    except BackstayError as error:
        yield _unproven(f"the keys of the repositories are in a cluster: {error.message}")
        return
    cache = wiring.cache_folder() / "restic"
    keyring = SecretKeyring(config, wiring.resolver(client), cache=cache, read_only=True)
    yield from check_snapshots(keyring, snapshots)


def _unproven(told: str) -> Check:
    return Check(name="snapshots", verdict=Verdict.UNPROVEN, message=told)
