"""``backstay adopt``: a person says that this cluster goes on where another one ended."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

import click

from reconciler.cli import options, wiring
from reconciler.engine.clusterbranch import adopt_cluster, check_former, load_cluster_branch
from reconciler.engine.reanchor import Rewritten, accept_rewrite, look_at_rewrite
from reconciler.model.errors import UsageError


@click.command(name="adopt", short_help="Let this cluster write an old one's branches.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--rewritten", default="", metavar="POLICY",
    help="Only say that the history of POLICY's branch was rewritten on purpose; needs --tip.",
)  # fmt: skip
@click.option(
    "--tip", "new", type=options.CommitId(), default=None, metavar="COMMIT",
    help="With --rewritten: the commit that ends the new history, all digits of it.",
)  # fmt: skip
@options.config_option
@options.kubeconfig_option
@options.context_option
@options.output_option
def command(
    yes: bool, rewritten: str, new: str | None, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> None:  # fmt: skip
    """Say that this cluster writes the branches of the cluster that Config names.

    A rebuilt cluster has another uid than the one that wrote before, and its runs exit 4 until
    somebody adopts it: an empty new cluster must not become the latest recovery point. Restore
    first, then adopt.

    With --rewritten: after `backstay purge` and your push, the cluster still remembers the branch's
    old tip, and the next run would raise an alarm. This makes it remember the commit that you name,
    if the branch has it and it takes the place of the one that is remembered. `backstay purge`
    prints the whole line. Where a run has raised the alarm already (`BranchRewound`), it ends it:
    you say that the history up to that commit is right.
    """
    if bool(rewritten) != bool(new):
        raise UsageError(
            "--rewritten and --tip go together",
            hint="backstay purge has printed the whole line, with the commit that you pushed",
        )
    if new:
        _accept(rewritten, new, yes, config_file, kubeconfig, context, output)
        return
    config = wiring.load_config(config_file)
    client = wiring.cluster(kubeconfig, context)
    name, clock = config.cluster.name, wiring.clock()
    identity = client.identity()
    with wiring.manifest_store(config, wiring.resolver(client), writes=True) as store:
        marker = load_cluster_branch(store, name).marker
        if marker is None:
            check_former(store, name, identity, config.cluster.renamed_from, most=0)
        before = marker.uid if marker else "nobody"
        if before != identity.uid and not yes:
            click.echo(f"{name} was written by {before}; this cluster is {identity.uid}.", err=True)
            _ask("Adopt it?")
        made = adopt_cluster(store, name, identity, now=clock.now(), by=who())
    if output == "json":
        click.echo(
            json.dumps({"formatVersion": 1, "cluster": name, "uid": made.uid, "before": before})
        )
    elif before == identity.uid:
        click.echo(f"{name} is this cluster's already ({made.uid}).")
    else:
        click.echo(f"{name} is now written by {made.uid}, before by {before}.")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody can answer here", hint="add --yes if that is right")
    click.confirm(question, abort=True, err=True)


def _accept(
    policy: str, new: str, yes: bool, config_file: Path, kubeconfig: Path | None,
    context: str | None, output: str,
) -> None:  # fmt: skip
    config = wiring.load_config(config_file)
    client = wiring.cluster(kubeconfig, context)
    with wiring.manifest_store(config, wiring.resolver(client)) as store:
        found = look_at_rewrite(
            store, client, config.cluster.name, policy, new=new, namespace=wiring.own_namespace()
        )
        if not found.empty and not yes:
            click.echo(_told(found), err=True)
            _ask("Is that right?")
        accept_rewrite(client, found, namespace=wiring.own_namespace())
    if output == "json":
        document = {"formatVersion": 1, "branch": found.branch, "tip": found.tip}
        document |= {"before": found.memory.tip, "rewrittenBy": found.mark}
        document |= {
            "accepted": [one.expected for one in found.ended],
            "left": [one.expected for one in found.left],
        }
        click.echo(json.dumps(document))
    else:
        click.echo(f"{found.branch}: {_done(found)}.")


def _done(found: Rewritten) -> str:
    if found.empty and not found.left:
        return "nothing to accept, it has what is remembered of it"
    told = [f"{found.mark} is remembered from now on"] if found.mark else []
    if found.ended:
        told.append("no longer an alarm: lost " + ", ".join(one.expected for one in found.ended))
    told += [
        f"still an alarm: lost {one.expected}, found at {one.found}, which is above {found.new}"
        for one in found.left
    ]
    return "; ".join(told)


def _told(found: Rewritten) -> str:
    if not found.says_so:
        lost = ", ".join(one.expected for one in found.ended)
        return (
            f"{found.branch}: a run has found that it lost {lost}. You say that the history that"
            f" ends with {found.new} is right all the same."
        )
    above = f"; {found.above} commits came since, it is at {found.tip}" if found.above else ""
    return (
        f"{found.branch}: remembered is {found.memory.tip}; the branch has {found.mark}, which says"
        f" that the history up to there was rewritten on purpose{above}."
    )


def who() -> str:
    """The person, as far as this machine knows; empty where the user has no name, as in a pod."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
