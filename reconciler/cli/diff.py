"""``backstay diff``: what changed between two recovery points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from reconciler.adapters.clock import SystemClock
from reconciler.cli import history, options, paging
from reconciler.engine.reading import (
    Known,
    NamedPoint,
    PointFinder,
    Wanted,
    changed_objects,
    hold_known,
    known_at,
)
from reconciler.model.errors import UsageError
from reconciler.model.objects import Gap
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
    help="Only these kinds: deployment, deployments or deployment.apps. May be repeated.",
)  # fmt: skip
@click.option(
    "--against-cluster", "live", is_flag=True,
    help="What changed since OLD in the live cluster: NEW is what is there now.",
)  # fmt: skip
@options.kubeconfig_option
@options.context_option
@history.clone_option
@history.cluster_option
@options.config_option
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

    A namespace or a kind that neither side has is an error.

    Exit codes: 0 no differences, 1 differences, 3 none was found, and not all could be read or
    compared, more for errors.
    """
    now = SystemClock().now()
    first = parse_point(old, now)
    second = parse_point(new, now) if new is not None else PointName("", LATEST)
    if live and new is not None:
        raise UsageError(f"{new} or --against-cluster", hint="leave one of them out")
    counted, wanted = report.Counted(), Wanted(namespaces, kinds)
    output = "json" if as_json else output
    with history.open_history(clone, cluster, config_file) as found:
        finder = PointFinder(found.store, found.cluster, shallow=found.shallow)
        if live:
            from reconciler.cli.drift import look_at_cluster

            before = finder.find(first.of(policy) if policy else first)
            there = known_at(found.store, before)
            hold_known(Wanted(namespaces), [there])
            config_there = config_file if clone is None or config_file.exists() else None
            client = kubeconfig, context
            drift, after = look_at_cluster(found, before, wanted, config_there, *client, now)
            changes: Iterable[ObjectChange] = drift.changes
            hold_known(wanted, [there, _live(drift.changes, drift.gaps)])
        else:
            before, other = _find(finder, first, second, policy)
            after = _side(other)
            if wanted.names_any:
                hold_known(wanted, [known_at(found.store, one) for one in (before, other)])
            changes = changed_objects(found.store, before.point.commit, other.point.commit, wanted)
        side = _side(before)
        paging.show(_render(output, side, after, counted.over(changes)))
    return report.exit_code(side, after, counted)


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


def _live(changes: Sequence[ObjectChange], gaps: Sequence[Gap]) -> Known:
    """What is new in the cluster, besides what the recovery point has."""
    return Known(frozenset(), frozenset(change.folder for change in changes), tuple(gaps))


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
