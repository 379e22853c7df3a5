"""``backstay diff``: what changed between two recovery points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.kube import KubeClient
from reconciler.cli import history, paging, wiring
from reconciler.engine.drift import NO_KEY, Drift, find_drift
from reconciler.engine.reading import NamedPoint, PointFinder, Wanted, changed_objects
from reconciler.engine.restoresource import fingerprint_key, prove_password
from reconciler.model.errors import BackstayError, UsageError
from reconciler.plan.diff import ObjectChange
from reconciler.plan.pointnames import LATEST, PointName, parse_point, render_moment
from reconciler.report import diff as report

_HOW = "backstay diff shop@-7d shop; backstay diff shop@-1d --against-cluster"


@click.command(name="diff", short_help="Show what changed between two recovery points.")
@click.argument("old")
@click.argument("new", required=False)
@click.option("--policy", default="", help="Whose points are meant, where they don't say it.")
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, metavar="GLOB",
    help="Only these namespaces; `_cluster` is what is cluster-scoped. May be repeated.",
)  # fmt: skip
@click.option(
    "--kind", "kinds", multiple=True, metavar="GLOB",
    help="Only these kinds: deployment, or deployment.apps. May be repeated.",
)  # fmt: skip
@click.option(
    "--against-cluster", "live", is_flag=True,
    help="What changed since OLD in the live cluster: NEW is what is there now.",
)  # fmt: skip
@wiring.kubeconfig_option
@wiring.context_option
@history.clone_option
@history.cluster_option
@wiring.config_option
@click.option(
    "-o", "--output", type=click.Choice(["text", "markdown", "json"]), default="text",
    show_default=True, help="For people, for a comment, or one JSON document.",
)  # fmt: skip
@history.json_option
def command(
    old: str, new: str | None, policy: str, namespaces: tuple[str, ...], kinds: tuple[str, ...],
    live: bool, kubeconfig: Path | None, context: str | None, clone: Path | None,
    cluster: str | None, config_file: Path, output: str, as_json: bool,
) -> int:  # fmt: skip
    """Show which objects differ between the recovery points OLD and NEW, and which fields.

    A point is POLICY (its newest), POLICY@-7d, POLICY@TIME, POLICY@DATE (its end, UTC), a run or a
    commit; `^` behind it is the one before. NEW is the newest one of the same policy by default.
    Times mean what they mean to `backstay restore --at`. Values of Secrets are never shown.

    --against-cluster reads the namespaces of OLD as a run would, and writes nothing; Secrets are
    compared where Config has the repositories' keys.

    Exit codes: 0 no differences, 1 differences, more for errors.
    """
    now = wiring.clock().now()
    first = parse_point(old, now)
    second = parse_point(new, now) if new is not None else PointName("", LATEST)
    if live and new is not None:
        raise UsageError(f"{new} or --against-cluster", hint="leave one of them out")
    counted, wanted = report.Counted(), Wanted(namespaces, kinds)
    output = "json" if as_json else output
    with history.open_history(clone, cluster, config_file) as found:
        finder = PointFinder(found.store, found.cluster)
        if live:
            before = finder.find(first.of(policy) if policy else first)
            client = wiring.cluster(kubeconfig, context)
            key, note = _fingerprint_key(before, clone, config_file, client)
            drift = find_drift(found.store, before, client, wanted, key)
            after = _live_side(found.cluster, render_moment(now), drift, note)
            changes: Iterable[ObjectChange] = drift.changes
        else:
            before, other = _find(finder, first, second, policy)
            after = _side(other)
            changes = changed_objects(found.store, before.point.commit, other.point.commit, wanted)
        paging.show(_render(output, _side(before), after, counted.over(changes)))
    return 1 if counted.total else 0


def _fingerprint_key(
    before: NamedPoint, clone: Path | None, config_file: Path, client: KubeClient
) -> tuple[bytes | None, str]:
    """The key of the point's fingerprints, once its password was proven; else None, and why."""
    if clone is not None and not config_file.exists():
        return None, "no Config with the keys of the repositories"
    config = wiring.load_config(config_file)
    if config.cluster.name != before.record.cluster.name:
        return None, f"Config is of cluster {config.cluster.name}"
    cache = wiring.cache_folder() / "restic"
    keyring = SecretKeyring(config, wiring.resolver(client), cache=cache, read_only=True)
    try:
        # With another password than the run's, every Secret would seem to have changed.
        prove_password(keyring, before.record)
        return fingerprint_key(keyring, before.record), ""
    except BackstayError as error:
        return None, error.message


def _live_side(cluster: str, now: str, drift: Drift, note: str) -> report.Side:
    notes = (f"{one}: {note}" if one == NO_KEY and note else one for one in drift.notes)
    return report.Side(
        name=f"cluster {cluster}",
        time=now,
        gaps=tuple(map(str, sorted(drift.gaps))),
        notes=tuple(notes),
    )


def _find(
    finder: PointFinder, first: PointName, second: PointName, policy: str
) -> tuple[NamedPoint, NamedPoint]:
    """Each of the two may say the policy for both."""
    if not (policy or first.policy or second.policy or first.is_commit or second.is_commit):
        raise UsageError(f"{first.at} is of which policy?", hint=f"for example: {_HOW}")
    if first.policy or first.is_commit or policy:
        before = finder.find(first.of(policy) if policy else first)
        return before, finder.find(second.of(policy or before.policy))
    after = finder.find(second)
    return finder.find(first.of(after.policy)), after


def _side(named: NamedPoint) -> report.Side:
    return report.Side(
        name=named.point.run_id,
        commit=named.point.commit,
        time=render_moment(named.point.started),
        outcome=str(named.point.outcome),
        gaps=tuple(map(str, named.record.gaps)),
    )


def _render(
    output: str, old: report.Side, new: report.Side, changes: Iterable[ObjectChange]
) -> Iterator[str]:
    if output == "json":
        return report.json_chunks(old, new, changes)
    if output == "markdown":
        return report.markdown_lines(old, new, changes)
    return report.text_lines(old, new, changes, paging.painter())
