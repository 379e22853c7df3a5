"""``backstay blame``: which run first saw the value that a field has."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.adapters.clock import SystemClock
from reconciler.cli import history, options, paging
from reconciler.engine.reading import NamedPoint, PointFinder
from reconciler.engine.versions import blame_object, find_path, hint_alike, paths_in
from reconciler.model.errors import Refused, UsageError
from reconciler.plan.objectnames import ObjectName, parse_object
from reconciler.plan.pointnames import LATEST, PointName, parse_point
from reconciler.report import blame as report


@click.command(name="blame", short_help="Show since which run each field has its value.")
@click.argument("words", nargs=-1, required=True, metavar="NAMESPACE KIND NAME")
@click.option("--policy", default="", help="Whose recovery points; default the one that has it.")
@click.option(
    "--at", default="", metavar="POINT",
    help="As of this recovery point: a run, a commit, a time, @-7d; default the newest.",
)  # fmt: skip
@history.clone_option
@history.cluster_option
@options.config_option
@options.output_option
@history.json_option
def command(
    words: tuple[str, ...], policy: str, at: str, clone: Path | None, cluster: str | None,
    config_file: Path, output: str, as_json: bool,
) -> None:  # fmt: skip
    """Show for each field of an object which run first saw the value that it has.

    NAMESPACE is `_cluster` for a cluster-scoped object; NAMESPACE/KIND/NAME in one word is the
    same. A value that went and came back is as old as its coming back. Values of Secrets are never
    shown.
    """
    wanted = parse_object(words)
    name = parse_point(at, SystemClock().now()) if at else PointName("", LATEST)
    with history.open_history(clone, cluster, config_file) as found:
        point = _find(
            PointFinder(found.store, found.cluster, shallow=found.shallow),
            found,
            wanted,
            name,
            policy,
        )
        branch, commit = found.branch(point.policy), point.point.commit
        path = find_path(found.store, branch, commit, wanted)
        if path not in paths_in(found.store, commit, wanted):
            raise Refused(
                f"{wanted} is not in {point.point.run_id}",
                hint=f"see when it went: backstay log {point.policy} --object {wanted}",
            )
        origins = blame_object(found.store, branch, path, commit, shallow=found.shallow)
    if output == "json" or as_json:
        click.echo(report.render_json(path, point.point, origins))
    else:
        paging.show(report.text_lines(path, point.point, origins))


def _find(
    finder: PointFinder, found: history.History, wanted: ObjectName, name: PointName, policy: str
) -> NamedPoint:
    """The recovery point; of the policy that has the object, where nobody said which."""
    whose = name.policy or policy
    if whose or name.is_commit:
        return finder.find(name.of(whose))
    holders, commits = [], []
    for known in finder.policies():
        try:
            point = finder.find(name.of(known))
        except Refused:
            continue  # no recovery point at that time, so nobody's object is in it
        commits.append(point.point.commit)
        if paths_in(found.store, point.point.commit, wanted):
            holders.append(point)
    if len(holders) == 1:
        return holders[0]
    if not holders:
        raise Refused(
            f"no policy of {found.cluster} has an object {wanted}",
            hint=f"{hint_alike(found.store, commits, wanted)};"
            " one that is gone is found with --policy and --at",
        )
    raise UsageError(
        f"{wanted} is in several policies: {', '.join(one.policy for one in holders)}",
        hint="choose one with --policy",
    )
