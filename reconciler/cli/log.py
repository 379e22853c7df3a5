"""``backstay log``: recovery points, or the versions of one object, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from reconciler.adapters.clock import SystemClock
from reconciler.cli import history, options, paging
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import clusters_of, doubt_newest, read_points
from reconciler.engine.namespacepoints import points_of_namespace
from reconciler.engine.reading import PointFinder, record_at
from reconciler.engine.versions import find_path, object_versions, version_changes
from reconciler.model.errors import UsageError
from reconciler.plan.objectnames import parse_object
from reconciler.plan.pointnames import parse_moment
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report import history as report
from reconciler.report import objectlog


@click.command(name="log", short_help="List recovery points, or the versions of an object.")
@click.argument("policy", required=False)
@click.option(
    "-n", "--number", type=click.IntRange(min=0), default=0, help="At most so many; 0 is all."
)
@click.option("--since", default="", metavar="TIME", help="A time, a date, or 7d: a week ago.")
@click.option("--until", default="", metavar="TIME", help="The same; a date means its end, UTC.")
@click.option(
    "--namespace", default="", help="Runs that captured this namespace, with its part of each."
)
@click.option(
    "--object", "wanted", default="", metavar="NAMESPACE/KIND/NAME",
    help="Runs in which this object changed, and which fields.",
)  # fmt: skip
@history.clone_option
@history.cluster_option
@options.config_option
@options.output_option
@history.json_option
def command(
    policy: str | None, number: int, since: str, until: str, namespace: str, wanted: str,
    clone: Path | None, cluster: str | None, config_file: Path, output: str, as_json: bool,
) -> None:  # fmt: skip
    """List the recovery points of POLICY, newest first; without POLICY, of all policies.

    With --clone it reads a clone of the manifest repository, and needs nothing else.
    """
    output = "json" if as_json else output
    within = _between(since, until, SystemClock().now())
    with history.open_history(clone, cluster, config_file) as found:
        if wanted:
            _need_policy(policy, namespace)
            _show_object(found, str(policy), wanted, within, number, output)
            return
        finder = PointFinder(found.store, found.cluster, shallow=found.shallow)
        for name in [policy] if policy else finder.policies():
            if doubt := doubt_newest(found.store, found.branch(name)):
                from reconciler.cli import wiring

                wiring.reporter(output).warning("the newest commit is no run's", why=doubt)
        expiries = Expiries(found.store, found.cluster)
        points = _points(found, finder, policy, namespace, within, number, expiries)
        history.tell_doubts(expiries, output)
        if not points:
            _hold(found, finder, policy, namespace, cluster or "")
    if output == "json":
        click.echo(json.dumps(report.log_document(policy or "", points, namespace)))
    else:
        paging.show(report.render_log(points, namespace).splitlines(keepends=True))


def _hold(
    found: history.History, finder: PointFinder, policy: str | None, namespace: str, cluster: str
) -> None:
    """Raises UsageError where what was named is nowhere, so that no runs were to be expected."""
    names = (policy,) if policy else finder.policies()
    if cluster and not names:
        others = ", ".join(clusters_of(found.store))
        raise UsageError(
            f"--cluster {cluster} has no runs", hint=f"there are clusters: {others or 'none'}"
        )
    if not namespace:
        return
    every: set[str] = set()
    for name in names:
        points = read_points(found.store, found.branch(name))
        if any(
            True for _ in points_of_namespace(found.store, found.branch(name), points, namespace)
        ):
            return
        for point in points[:1]:
            record = record_at(found.store, point.commit)
            every |= {part.name for part in record.namespaces} if record else set()
    raise UsageError(
        f"--namespace {namespace}: no run captured such a namespace",
        hint=f"the newest runs captured: {', '.join(sorted(every)) or 'none'}",
    )


def _need_policy(policy: str | None, namespace: str) -> None:
    if not policy:
        hint = "backstay log shop --object shop/secret/db"
        raise UsageError("--object needs a policy", hint=hint)
    if namespace:
        raise UsageError("--object names its namespace itself", hint="leave --namespace out")


def _between(since: str, until: str, now: datetime) -> Callable[[datetime], bool]:
    first = parse_moment(since, now, end=False) if since else None
    last = parse_moment(until, now, end=True) if until else None

    def within(moment: datetime) -> bool:
        return (first is None or moment >= first) and (last is None or moment <= last)

    return within


def _points(
    found: history.History, finder: PointFinder, policy: str | None, namespace: str,
    within: Callable[[datetime], bool], number: int, expiries: Expiries,
) -> Sequence[RecoveryPoint]:  # fmt: skip
    names = (policy,) if policy else finder.policies()
    points: list[RecoveryPoint] = []
    for name in names:
        branch = found.branch(name)
        read = read_points(found.store, branch, expiries)
        mine = (point for point in read if within(point.started))
        chosen = points_of_namespace(found.store, branch, mine, namespace) if namespace else mine
        points += islice(chosen, number or None)
    points.sort(key=lambda point: point.started, reverse=True)
    return points[:number] if number else points


def _show_object(
    found: history.History, policy: str, wanted: str, within: Callable[[datetime], bool],
    number: int, output: str,
) -> None:  # fmt: skip
    name = parse_object([wanted])
    branch = found.branch(policy)
    points = read_points(found.store, branch)
    path = find_path(found.store, branch, points[0].commit, name) if points else ""
    versions = object_versions(found.store, branch, path, shallow=found.shallow)
    chosen = islice((one for one in versions if within(one.time)), number or None)
    changes = version_changes(found.store, path, chosen)
    if output == "json":
        click.echo(json.dumps(objectlog.document(policy, path, changes)))
    else:
        paging.show(objectlog.text_lines(path, changes, paging.painter()))
