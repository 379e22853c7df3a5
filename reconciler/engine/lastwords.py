"""What a run says that could not be recorded: nothing else will ever tell what it has stored.

Its log is then the only place where its snapshots stand beside their claims. The next run names
them too, by what restic holds (`reconciler.engine.unrecorded`).
"""

from __future__ import annotations

from reconciler import ports
from reconciler.model.errors import BackstayError, Transient
from reconciler.model.run import RunRecord


def tell_unpublished(
    made: RunRecord, error: BackstayError, reporter: ports.Reporter
) -> BackstayError:
    """Logs what was captured and where each snapshot is; the error to end with."""
    reporter.warning(
        "run not recorded",
        run=made.name,
        outcome=str(made.outcome),
        objects=made.objects.captured,
        why=error.message,
    )
    stored = False
    for part in made.namespaces:
        for volume in part.volumes:
            if volume.snapshot and volume.repository:
                stored = True
                reporter.warning(
                    "volume stored and not recorded",
                    namespace=part.name,
                    claim=volume.claim,
                    repository=volume.repository.url,
                    snapshot=volume.snapshot,
                )
    held = made.secrets
    if held is not None and held.snapshot and held.repository:
        stored = True
        reporter.warning(
            "Secrets stored and not recorded",
            count=held.count,
            repository=held.repository.url,
            snapshot=held.snapshot,
        )
    if not isinstance(error, Transient):
        return error
    what = "its snapshots are named above and stay in restic; " if stored else ""
    return type(error)(
        f"run {made.name} is not on its branch, so it is no recovery point: {error.message}",
        hint=f"{error.hint + '; ' if error.hint else ''}{what}"
        "the next run captures everything again and stores what changed since",
    )
