"""What a mover does with its one volume: copy, say what came of it.

It never makes a repository: only a run may, and only where no record ever named one. Nor does it
open one before the copy does: that would derive restic's key once more, and tell nothing that the
copy doesn't. Every end is a `MoveResult`: an error becomes one that has FAILED, with the exit code
of its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler import ports
from reconciler.model import moverprotocol
from reconciler.model.errors import BackstayError
from reconciler.model.volumes import MoveKind, MoveResult, MoveState


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """One copy. ``root`` is where the volume is mounted; ``snapshot`` is for a restore only."""

    kind: MoveKind
    claim: str
    root: Path
    host: str
    policy: str
    run_id: str
    exclude: tuple[str, ...] = ()
    snapshot: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """What the snapshot of this copy is found by."""
        return (f"policy:{self.policy}", f"run:{self.run_id}", f"claim:{self.claim}")


def run_move(
    order: MoveOrder, backend: ports.VolumeBackend, reporter: ports.Reporter, clock: ports.Clock
) -> MoveResult:
    """Does the copy; an error of ours is a result too, Interrupted included."""
    begin = clock.now()
    reporter.event(f"{order.kind.value} starts", claim=order.claim, root=str(order.root))
    try:
        result = _copy(order, backend, reporter)
    except BackstayError as error:
        result = failed(error, begin, clock.now())
    for text in result.errors:
        reporter.warning("not copied", what=text)
    return result


def failed(error: BackstayError, begin: datetime, end: datetime) -> MoveResult:
    """The result of a copy that ended with an error."""
    hint = f" (hint: {error.hint})" if error.hint else ""
    return MoveResult(
        state=MoveState.FAILED,
        started=begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        took=round((end - begin).total_seconds()),
        exit_code=error.exit_code,
        message=f"{error.message}{hint}",
    )


def _copy(order: MoveOrder, backend: ports.VolumeBackend, reporter: ports.Reporter) -> MoveResult:
    def tell(done: int, total: int) -> None:
        reporter.progress(order.claim, done, total)

    if order.kind is MoveKind.RESTORE:
        source = moverprotocol.volume_path(order.claim)
        return backend.restore_folder(order.snapshot, source, order.root, progress=tell)
    return backend.backup_folder(
        order.root, host=order.host, tags=order.tags, exclude=order.exclude, progress=tell
    )
