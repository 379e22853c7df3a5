"""What a mover does, on a repository in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.engine.mover import MoveOrder, run_move
from reconciler.engine.proving import volume_tags
from reconciler.model.errors import BackstayError, Interrupted, RepositoryLocked, Transient
from reconciler.model.volumes import MoveKind, MoveState, RepositoryAccess
from tests.fakes.clock import FakeClock
from tests.fakes.reporter import FakeReporter
from tests.fakes.volumebackend import FakeStorage, FakeVolumeBackend


@pytest.fixture
def order(tmp_path: Path) -> MoveOrder:
    """A backup of a volume with one file."""
    root = tmp_path / "web"
    root.mkdir()
    (root / "page").write_text("boats")
    return MoveOrder(
        kind=MoveKind.BACKUP, claim="web", root=root, host="prod/shop", policy="shop", run_id="r"
    )


@pytest.fixture
def storage() -> FakeStorage:
    """A storage with a repository."""
    made = FakeStorage()
    backend(made).initialise()
    return made


def backend(storage: FakeStorage, password: str = "password") -> FakeVolumeBackend:
    """The repository at one URL."""
    access = RepositoryAccess(
        name="m", namespace="n", url="u", secret="s", environment={"RESTIC_PASSWORD": password}
    )
    return FakeVolumeBackend(access, storage)


def test_a_backup_is_found_by_the_runs_tags(order: MoveOrder, storage: FakeStorage) -> None:
    lines = FakeReporter()
    result = run_move(order, backend(storage), lines, FakeClock())
    assert result.state is MoveState.COMPLETED
    (listed,) = backend(storage).snapshots(tags=volume_tags("shop", "r", "web"), host="prod/shop")
    assert listed.id == result.snapshot
    assert lines.lines[-1] == ("progress", "web", {"done": 5, "total": 5})


def test_a_restore_takes_the_claims_own_folder(order: MoveOrder, storage: FakeStorage) -> None:
    made = run_move(order, backend(storage), FakeReporter(), FakeClock())
    (order.root / "page").unlink()
    again = replace(order, kind=MoveKind.RESTORE, snapshot=made.snapshot)
    assert (
        run_move(again, backend(storage), FakeReporter(), FakeClock()).state is MoveState.COMPLETED
    )
    assert (order.root / "page").read_text() == "boats"


@pytest.mark.parametrize(
    "error",
    [
        RepositoryLocked("locked", hint="wait"),
        Transient("away", hint="wait"),
        Interrupted("SIGTERM", hint="wait"),
    ],
)
def test_an_error_is_a_result(order: MoveOrder, storage: FakeStorage, error: BackstayError) -> None:
    storage.failure = error
    result = run_move(order, backend(storage), FakeReporter(), FakeClock())
    assert (result.state, result.exit_code) == (MoveState.FAILED, error.exit_code)
    assert result.message == f"{error.message} (hint: wait)"
    assert (result.took, result.started) == (0, "2026-11-21T04:17:05Z")


def test_a_mover_never_makes_a_repository(order: MoveOrder) -> None:
    empty = FakeStorage()
    result = run_move(order, backend(empty), FakeReporter(), FakeClock())
    assert (result.state, result.exit_code) == (MoveState.FAILED, 10)
    assert empty.repositories == {}
