"""``backstay show``: one run's record, one policy with all that it comes to."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
import yaml

from reconciler.adapters.clock import SystemClock
from reconciler.capture import record
from reconciler.capture.loading import read_manifest
from reconciler.cli import history, options, paging
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import read_record
from reconciler.engine.reading import HistoryReader, PointFinder
from reconciler.engine.versions import hint_alike, paths_in
from reconciler.model.errors import InvalidInput, Refused, UsageError, one_line
from reconciler.model.naming import CONFIG_FILE
from reconciler.plan.expiry import Promise, expired_namespaces
from reconciler.plan.objectnames import ObjectName, parse_object
from reconciler.plan.pointnames import parse_point
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report import history as report


class _ShowGroup(click.Group):
    """Tells who writes `backstay show <run id>` what is meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; raises UsageError with the right command where there is none."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(
                f"backstay show has no command {args[0]}",
                hint=f"a run's record: backstay show run {args[0]};"
                f" a policy: backstay show policy {args[0]}",
            )
        return super().resolve_command(ctx, args)


@click.group(name="show", cls=_ShowGroup, short_help="Show a run's record, or a whole policy.")
def command() -> None:
    """Show what was recorded, and what a policy comes to."""


@command.command(name="run")
@click.argument("run_id", metavar="ID")
@click.argument("wanted", metavar="[NAMESPACE/KIND/NAME]", required=False)
@click.option("--policy", default="", help="Whose run it is, where ID does not say it.")
@click.option("--left-out", is_flag=True, help="What was not captured, and why.")
@click.option("--redacted", is_flag=True, help="Fields outside Secrets that Git has no value of.")
@history.clone_option
@history.cluster_option
@options.config_option
@options.output_option
@history.json_option
def show_run(
    run_id: str, wanted: str | None, policy: str, left_out: bool, redacted: bool,
    clone: Path | None, cluster: str | None, config_file: Path, output: str, as_json: bool,
) -> None:  # fmt: skip
    """Show the record of the run ID: outcome, namespaces, volumes and their snapshots.

    ID is a run, a commit, or POLICY, POLICY@-7d, POLICY@TIME. With NAMESPACE/KIND/NAME the manifest
    of that object is printed as it was, ready for kubectl; `_cluster/KIND/NAME` is a cluster-scoped
    one. A Secret has fingerprints in place of its values, and only `backstay restore` brings these
    back.
    """
    name = parse_point(run_id, SystemClock().now())
    as_json = as_json or output == "json"
    with history.open_history(clone, cluster, config_file) as found:
        expiries = Expiries(found.store, found.cluster)
        known = None if wanted else expiries
        finder = PointFinder(found.store, found.cluster, shallow=found.shallow, expiries=known)
        point = finder.find_recorded(name.of(policy) if policy else name)
        if wanted:
            text, path = _read_object(found.store, point.commit, parse_object([wanted]))
            _print_manifest(text, _manifest_json(path, point, text) if as_json else "")
            return
        made = read_record(found.store, point.commit)
        history.tell_doubts(expiries, output)
    expired = expired_namespaces(point.expiry, made) if point.expiry else {}
    if as_json:
        click.echo(json.dumps(_record_json(point, record.render_record(made), expired)))
    elif left_out:
        paging.show(report.left_out_lines(made))
    elif redacted:
        paging.show(report.redacted_lines(made))
    else:
        paging.show(report.render_run(made, point.commit, expired).splitlines(keepends=True))


def _read_object(store: HistoryReader, commit: str, wanted: ObjectName) -> tuple[bytes, str]:
    """The text and its path; raises Refused where the run has no such object."""
    found = paths_in(store, commit, wanted)
    if len(found) != 1:
        kinds = ", ".join(path.split("/")[1] for path in found)
        what = f"is one of several: {kinds}" if found else "is not there"
        hint = "give the whole kind" if found else hint_alike(store, [commit], wanted)
        raise Refused(f"{wanted} in commit {commit[:10]}: it {what}", hint=hint)
    ((path, text),) = store.read(commit, found).items()
    return text, path


def _print_manifest(text: bytes, as_json: str) -> None:
    """Byte for byte for a program; a terminal does not obey what somebody wrote into it."""
    if as_json:
        paging.show([as_json])
    elif sys.stdout.isatty():
        paging.show(report.manifest_lines(text))
    else:
        click.echo(text, nl=False)


def _manifest_json(path: str, point: RecoveryPoint, text: bytes) -> str:
    manifest = read_manifest(text, where=path)
    head = {"formatVersion": 1, "type": "manifest", "run": point.run_id, "commit": point.commit}
    return json.dumps({**head, "path": path, "manifest": manifest}) + "\n"


def _record_json(
    point: RecoveryPoint, text: bytes, expired: Mapping[str, Promise]
) -> dict[str, object]:
    document = yaml.load(text, yaml.CSafeLoader)
    found = {"formatVersion": 1, "type": "run", "commit": point.commit, "record": document}
    return found | report.expired_part(expired)


@command.command(name="policy")
@click.argument("name")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), default=None,
    help=f"The installation's file; default {CONFIG_FILE} where no PATHS are given.",
)  # fmt: skip
@click.option(
    "--cluster", default="", help="The cluster that H is worked out for; default Config's."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text",
    show_default=True, help="For people, one JSON document, or the policy written out in full.",
)  # fmt: skip
def show_policy(
    name: str, paths: tuple[str, ...], config_file: Path | None, cluster: str, output: str
) -> None:
    """Show the policy NAME with what its profile and the defaults add, and where each is from.

    Policies are read from PATHS, files or folders, or without any from the Git repository that
    Config names. No cluster is asked, unless Config keeps the repository's keys in a Secret.
    """
    from reconciler.cli import policyinput
    from reconciler.policy.effective import effective_policy
    from reconciler.report import effective

    policyinput.check_cluster(cluster)
    config = policyinput.load_config(config_file, paths, verb=f"show policy {one_line(name)}")
    read = policyinput.read_policies(paths, config)
    try:
        found = effective_policy(read.files, name, config, cluster=cluster)
    except InvalidInput as error:
        raise InvalidInput([*read.problems, *error.problems], hint=error.hint) from error
    found = replace(found, revision=read.revision)
    if output == "json":
        click.echo(json.dumps(effective.to_json(found), indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(effective.render_yaml(found), nl=False)
    else:
        click.echo(effective.render_text(found), nl=False)
