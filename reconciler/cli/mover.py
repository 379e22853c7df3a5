"""``backstay mover``: copies one volume to or from its restic repository, inside a Job.

Started by a run with arguments that hold no secret; the repository's URL and keys are in the
environment. Whatever happens, signals too, its result is written as one JSON object to the
container's termination message, and the same object is the last line of its log.
`docs/mover.md` has the protocol. Imports are few: a volume of one file must not wait for them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.loglines import JsonLines
from reconciler.adapters.resticrepo import ResticRepository
from reconciler.engine.mover import MoveOrder, failed, run_move
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model import moverprotocol
from reconciler.model.errors import BackstayError, Bug, Interrupted, UsageError
from reconciler.model.volumes import MoveKind, MoveResult, RepositoryAccess

URL = "RESTIC_REPOSITORY"
PASSWORD = "RESTIC_PASSWORD"  # noqa: S105 - the name of the variable


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--claim", required=True, help="Name of the claim."),
        click.option("--host", required=True, help="Host of the snapshot: CLUSTER/NAMESPACE."),
        click.option("--policy", required=True, help="Name of the policy."),
        click.option("--run", "run_id", required=True, help="Id of the run."),
        click.option(
            "--root", type=click.Path(path_type=Path), default=None,
            help="Where the volume is mounted; default /data/CLAIM.",
        ),
        click.option(
            "--cache-dir", type=click.Path(path_type=Path), envvar="RESTIC_CACHE_DIR",
            default=None, help="Folder for restic's cache; default: a folder in TMPDIR.",
        ),
        click.option(
            "--result", "result_file", type=click.Path(path_type=Path),
            default=Path(moverprotocol.PATH), help="File for the result.",
        ),
    )  # fmt: skip

    for option in reversed(options):
        function = option(function)
    return function


@click.group(name="mover", short_help="Copy one volume (runs inside a Job).")
def command() -> None:
    """Copy one volume; runs inside a Job that a run makes.

    Needs RESTIC_REPOSITORY, RESTIC_PASSWORD and the storage's keys in its environment.
    """


@command.command()
@_shared
@click.option("--exclude", multiple=True, help="Pattern that restic leaves out; repeatable.")
def backup(
    claim: str, root: Path | None, cache_dir: Path | None, result_file: Path, **rest: Any
) -> int:
    """Back up the volume into a new snapshot."""
    order = _order(MoveKind.BACKUP, claim, root, rest)
    return _execute(order, cache_dir, result_file)


@command.command()
@_shared
@click.option("--snapshot", required=True, help="Id of the snapshot that is put back.")
def restore(
    claim: str, root: Path | None, cache_dir: Path | None, result_file: Path, **rest: Any
) -> int:
    """Put a snapshot back into the volume."""
    order = _order(MoveKind.RESTORE, claim, root, rest)
    return _execute(order, cache_dir, result_file)


def _order(kind: MoveKind, claim: str, root: Path | None, rest: dict[str, Any]) -> MoveOrder:
    mounted = root or Path(moverprotocol.volume_path(claim))
    return MoveOrder(kind=kind, claim=claim, root=mounted, **rest)


def _execute(order: MoveOrder, cache_dir: Path | None, result_file: Path) -> int:
    clock = SystemClock()
    reporter = JsonLines()
    begin = clock.now()
    # Stands until another one is known, so that no end is without a result.
    result = failed(Bug("the mover ended unexpectedly; see its log"), begin, begin)
    try:
        with _interruptible():
            backend = ResticRepository(_access(), cache_dir=cache_dir or _default_cache())
            result = run_move(order, backend, reporter, clock)
    except BackstayError as error:
        result = failed(error, begin, clock.now())
    except Exception as error:  # noqa: BLE001 - told without its text, which may hold a secret
        bug = explain_unexpected(error, reporter, ended="the mover")
        result = failed(bug, begin, clock.now())
    finally:
        _deliver(result, result_file, reporter)
    return result.exit_code


def _access() -> RepositoryAccess:
    missing = [name for name in (URL, PASSWORD) if not os.environ.get(name)]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} not set",
            hint="a run gives them to its mover; by hand, export them",
        )
    return RepositoryAccess(
        name="", namespace="", secret="", url=os.environ[URL], environment=dict(os.environ)
    )


def _default_cache() -> Path:
    return Path(os.environ.get("TMPDIR") or "/tmp") / "restic-cache"  # noqa: S108 - the pod's own


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """The first SIGTERM or SIGINT becomes Interrupted; later ones must not stop the reporting."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(f"ended by {signal.Signals(number).name}")

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)


def _deliver(result: MoveResult, file: Path, reporter: JsonLines) -> None:
    """One write: the kubelet's file is a mount, which nothing can be renamed over."""
    text = moverprotocol.render_result(result)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
    except OSError as error:
        reporter.warning("result not written", file=str(file), why=error.strerror)
    print(text, file=sys.stderr, flush=True)
