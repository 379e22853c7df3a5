"""``backstay purge``: takes a leaked value out of a clone's history; the push is a person's."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcommit import make_author
from reconciler.adapters.gitresign import Signing
from reconciler.adapters.gitrewrite import HistoryRewriter
from reconciler.adapters.gitsigning import parse_signing_key, parse_trusted
from reconciler.capture.purging import Purge, parse_value
from reconciler.cli import history, options
from reconciler.cli.adopt import who
from reconciler.engine.purging import Person, Purged, purge_branch
from reconciler.engine.reading import PointFinder
from reconciler.model.config import DEFAULT_FILE
from reconciler.model.errors import Refused


@click.command(name="purge", short_help="Take a leaked value out of a clone's whole history.")
@click.argument("policies", nargs=-1, metavar="[POLICY]...")
@click.option(
    "--clone", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True,
    help="A whole clone of the manifest repository, made for this: git clone --bare URL.",
)  # fmt: skip
@click.option(
    "--value", "files", type=click.Path(path_type=Path, allow_dash=True), multiple=True,
    required=True, help="A file that holds the value, - for stdin. May be repeated.",
)  # fmt: skip
@click.option("--reason", required=True, help="Why: it stands in the new history.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None, help="Config whose signingKey signs again what was signed with it.",
)  # fmt: skip
@history.cluster_option
@options.output_option
def command(
    policies: tuple[str, ...], clone: Path, files: tuple[Path, ...], reason: str,
    config_file: Path | None, cluster: str | None, output: str,
) -> None:  # fmt: skip
    """Take a value out of the history of the policies' branches; of all without POLICY.

    Works in the clone alone, and moves none of its branches: the new history lies beside the old
    one, every object of it was searched for the value, and it ends with a commit that says what was
    done. What is left to do is printed: the push, by force, is yours. docs/purge.md has the rest:
    what to do before, and how the cluster learns of it.
    """
    purge = Purge([_read(file) for file in files])
    person = Person(author=make_author(who() or "unknown", ""), reason=reason)
    with (
        history.open_history(clone, cluster, Path(DEFAULT_FILE)) as found,
        HistoryRewriter(clone, _signing(config_file)) as rewriter,
    ):
        done: dict[str, Purged | None] = {}
        for policy in policies or PointFinder(found.store, found.cluster).policies():
            branch = found.branch(policy)
            tip = found.store.tip(branch)
            if tip is None:
                raise Refused(f"there is no branch {branch} in {clone}")
            now = SystemClock().now()
            done[policy] = purge_branch(rewriter, policy, branch, tip, purge, person, now=now)
    made = [one for one in done.values() if one is not None]
    if output == "json":
        click.echo(json.dumps(_document(made, list(done), clone)))
    else:
        _show(made, [policy for policy, one in done.items() if one is None], clone)


def _signing(config_file: Path | None) -> Signing | None:
    if config_file is None:
        return None
    from reconciler.cli import wiring

    config = wiring.load_config(config_file)
    name = config.manifest_store.signing_key
    if not name:
        raise Refused(f"{config_file} names no manifestStore.signingKey", hint="leave --config out")
    found = wiring.resolver(None).resolve(config.credentials_of(name))
    key = parse_signing_key(found.data, found.source)
    return Signing(key, parse_trusted(found.data, found.source))


def _read(file: Path) -> str:
    if str(file) == "-":
        return parse_value(sys.stdin.buffer.read(), "stdin")
    try:
        return parse_value(file.read_bytes(), str(file))
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}") from error


def _push(one: Purged, clone: Path) -> str:
    """Refused by the server if the branch moved since the clone was made."""
    name = f"refs/heads/{one.branch}"
    words = ["git", "-C", str(clone), "push", f"--force-with-lease={name}:{one.old}"]
    return shlex.join([*words, "origin", f"{one.new}:{name}"])


def _adopt(one: Purged) -> str:
    """For a shell: the cluster believes this very commit, and no other that says the same."""
    return shlex.join(["backstay", "adopt", "--rewritten", one.policy, "--tip", one.new])


def _show(made: Sequence[Purged], clean: Sequence[str], clone: Path) -> None:
    for policy in clean:
        click.echo(f"{policy}: nothing of it is in its history")
    for one in made:
        click.echo(f"{one.policy}: taken out of {one.versions} versions of {len(one.paths)} files")
        for path in one.paths:
            click.echo(f"  {path}")
        since = f"since {one.after}" if one.after else "all of it"
        click.echo(f"  the history is new {since}; the old tip is {one.old}")
        if one.signed:
            click.echo(f"  {one.signed} commits were signed, and are signed again")
    if made:
        click.echo("\nNothing was pushed. To replace the branches:\n")
    for one in made:
        click.echo(f"  {_push(one, clone)}")
    if made:
        click.echo("\nThen, for the cluster and for who runs backstay verify; note the commits:\n")
    for one in made:
        click.echo(f"  {_adopt(one)}")


def _document(made: Sequence[Purged], looked_at: Sequence[str], clone: Path) -> dict[str, object]:
    return {
        "formatVersion": 1,
        "type": "purge",
        "lookedAt": list(looked_at),
        "purged": [
            {
                "policy": one.policy,
                "branch": one.branch,
                "old": one.old,
                "new": one.new,
                "ref": one.ref,
                "after": one.after,
                "files": list(one.paths),
                "versions": one.versions,
                "signed": one.signed,
                "push": _push(one, clone),
                "adopt": _adopt(one),
            }
            for one in made
        ],
    }
