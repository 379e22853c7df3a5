"""``backstay diff``: what changed between two recovery points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from reconciler.cli import history, paging, wiring
from reconciler.engine.reading import NamedPoint, PointFinder, Wanted, changed_objects
from reconciler.model.errors import UsageError
from reconciler.plan.diff import ObjectChange
from reconciler.plan.pointnames import LATEST, PointName, parse_point, render_moment
from reconciler.report import diff as report

_HOW = "backstay diff shop@-7d shop"


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
    clone: Path | None, cluster: str | None, config_file: Path, output: str,
    as_json: bool,
) -> int:  # fmt: skip
    """Show which objects differ between the recovery points OLD and NEW, and which fields.

    A point is POLICY (its newest), POLICY@-7d, POLICY@TIME, POLICY@DATE (its end, UTC), a run or a
    commit; `^` behind it is the one before. NEW is the newest one of the same policy by default.
    Times mean what they mean to `backstay restore --at`. Values of Secrets are never shown.

    Exit codes: 0 no differences, 1 differences, more for errors.
    """
    now = wiring.clock().now()
    first = parse_point(old, now)
    second = parse_point(new, now) if new is not None else PointName("", LATEST)
    with history.open_history(clone, cluster, config_file) as found:
        before, after = _find(PointFinder(found.store, found.cluster), first, second, policy)
        changes = changed_objects(
            found.store, before.point.commit, after.point.commit, Wanted(namespaces, kinds)
        )
        counted = report.Counted()
        output = "json" if as_json else output
        paging.show(_render(output, _side(before), _side(after), counted.over(changes)))
    return 1 if counted.total else 0


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
