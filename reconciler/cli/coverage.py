"""``backstay coverage``: what is protected, exempt and unprotected, and a gate for CI."""

from __future__ import annotations

import json
from pathlib import Path

import click

from reconciler.cli import coverageinput, options
from reconciler.cli.coverageinput import Asked
from reconciler.cli.inventoryinput import inventory_option
from reconciler.model.config import DEFAULT_FILE
from reconciler.model.errors import InvalidInput, UsageError
from reconciler.model.protection import Protection
from reconciler.plan import coveragegate
from reconciler.plan.protection import narrow
from reconciler.report import coverage as report
from reconciler.report.coverageannotations import render_github
from reconciler.report.coveragemarkdown import render_markdown


@click.command(name="coverage", short_help="Show what is protected, exempt and unprotected.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--manifests",
    multiple=True,
    type=click.Path(exists=True, allow_dash=True),
    metavar="PATH",
    help="Judge these manifests, not deployed yet, in place of the cluster; `-` is stdin.",
)
@click.option(
    "--default-namespace",
    default="default",
    show_default=True,
    metavar="NAME",
    help="Where manifests go that name no namespace.",
)
@inventory_option
@click.option("--offline", is_flag=True, help="Judge the inventory in Git; ask no cluster.")
@click.option(
    "--namespace",
    "-n",
    "namespaces",
    multiple=True,
    metavar="GLOB",
    help="Only these namespaces; may be given more than once.",
)
@click.option(
    "--fail-on",
    multiple=True,
    metavar="ID,…",
    help=f"Exit 1 if one is met: {', '.join(coveragegate.CONDITIONS)}.",
)
@click.option("--no-points", is_flag=True, help="Do not read recovery points of a live cluster.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=None,
    help=f"The installation's file; default {DEFAULT_FILE} where no PATHS are given.",
)
@click.option("--cluster", "cluster", default="", help="The cluster's name; default Config's.")
@options.kubeconfig_option
@options.context_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "markdown", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for a comment, for programs, or as annotations of GitHub.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
def command(
    paths: tuple[str, ...], manifests: tuple[str, ...], default_namespace: str,
    inventory_from: str | None, offline: bool, namespaces: tuple[str, ...],
    fail_on: tuple[str, ...], no_points: bool, config_file: Path | None, cluster: str,
    kubeconfig: Path | None, context: str | None, output: str, as_json: bool,
) -> int:  # fmt: skip
    """Show for every namespace, claim and StatefulSet claim template how it is backed up.

    Protected: by which policy, how, and its last recovery point. Exempt: who said so, why, until
    when. Unprotected: why. Policies and exemptions are read from PATHS, or without any from the
    Git repository that Config names. They are held against the cluster; with --offline or
    --inventory against the inventory that its controller publishes in Git; with --manifests
    against manifests that are not deployed yet.

    Exit codes: 0 done, 1 a condition of --fail-on is met, 2 wrong usage, 4 policies or manifests
    have problems (the good ones were shown).
    """
    asked = Asked(
        paths=paths,
        manifests=manifests,
        default_namespace=default_namespace,
        inventory_from=inventory_from,
        offline=offline,
        cluster=cluster,
        config_file=config_file,
        kubeconfig=kubeconfig,
        context=context,
        read_points=not no_points,
    )
    conditions = _conditions(fail_on)
    found = coverageinput.judge(asked)
    if not found.protection.points_known and (want := conditions & coveragegate.NEED_POINTS):
        raise UsageError(
            f"--fail-on {min(want)} needs recovery points, and they are not known here",
            hint=found.no_points or "they are read from a live cluster, or from an inventory",
        )
    protection = _narrowed(found.protection, namespaces)
    failed = coveragegate.failing(protection, conditions)
    _show(protection, failed, "json" if as_json else output)
    if found.problems:
        raise InvalidInput(found.problems)
    return 1 if failed else 0


def _conditions(lists: tuple[str, ...]) -> frozenset[str]:
    asked = options.fail_on_words(lists)
    unknown = sorted(asked.difference(coveragegate.CONDITIONS))
    if unknown:
        raise UsageError(
            f"--fail-on {unknown[0]}: there is no such condition",
            hint=f"there are {', '.join(coveragegate.CONDITIONS)}",
        )
    return asked


def _narrowed(protection: Protection, namespaces: tuple[str, ...]) -> Protection:
    """A look at nothing must not pass for one at something good."""
    if not namespaces:
        return protection
    found = narrow(protection, namespaces)
    if not found.lines:
        raise UsageError(
            f"no namespace matches {', '.join(namespaces)}", hint="names are globs, such as shop-*"
        )
    return found


def _show(protection: Protection, failed: tuple[str, ...], output: str) -> None:
    if output == "json":
        document = report.to_json(protection, failed)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    render = {"text": report.render_text, "markdown": render_markdown, "github": render_github}
    click.echo(render[output](protection, failed), nl=False)
