"""The mover as a process: arguments, environment, result, exit code, signals."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model import moverprotocol
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask, RepositoryAccess
from tests.rig.servers.seaweedfs import SeaweedFS
from tests.system.restic.conftest import PASSWORD, Restic

RUN = "shop-20261121-041703-aaaaa"


@dataclasses.dataclass(frozen=True, slots=True)
class Movers:
    """Starts movers as their Job does; ``folder`` is the root of the volume."""

    binary: str
    tmp: Path
    folder: Path

    def task(self, kind: MoveKind, url: object, *, snapshot: str = "") -> MoveTask:
        """The task that a run would give."""
        return MoveTask(
            kind=kind,
            run_id=RUN,
            policy="shop",
            namespace="shop",
            claim=self.folder.name,
            access=RepositoryAccess(
                name="main", namespace="shop", url=str(url), secret="s", environment={}
            ),
            host="prod/shop",
            image="image",
            snapshot=snapshot,
            exclude=("*.tmp",),
        )

    def start(
        self, task: MoveTask, *, password: str = PASSWORD, extra: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The process, with nothing but what the Job gives it."""
        arguments = [
            *moverprotocol.render_arguments(task),
            f"--root={self.folder}",
            f"--result={self.result}",
        ]
        environment = {
            "PATH": f"{Path(self.binary).parent}:{os.defpath}",
            "HOME": str(self.tmp),
            "RESTIC_CACHE_DIR": str(self.tmp / "cache"),
            "RESTIC_REPOSITORY": task.access.url,
            "RESTIC_PASSWORD": password,
            "BACKSTAY_EXEC_LOG": str(self.tmp / "exec.log"),
            **(extra or {}),
        }
        code = "import sys; from reconciler.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def result(self) -> Path:
        """What stands for /dev/termination-log."""
        return self.tmp / "result"

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, MoveResult, str]:
        """Exit code, result and log; the last line of the log is the result once more."""
        out, log = process.communicate(timeout=90)
        assert out == ""
        text = self.result.read_text()
        assert log.splitlines()[-1] == text
        for line in log.splitlines():
            json.loads(line)
        found = moverprotocol.parse_result(text)
        assert found is not None
        assert found.exit_code == process.returncode
        return process.returncode, found, log


@pytest.fixture
def movers(binary: str, tmp_path: Path) -> Movers:
    """A claim named ``web`` with a file."""
    folder = tmp_path / "data" / "web"
    folder.mkdir(parents=True)
    (folder / "page").write_text("marker-content-51aa")
    (folder / "noise.tmp").write_text("noise")
    (tmp_path / "result").touch()
    return Movers(binary, tmp_path, folder)


def test_a_backup_and_its_restore(movers: Movers, restic: Restic, repository: Path) -> None:
    backup = movers.task(MoveKind.BACKUP, repository)
    code, result, log = movers.finish(movers.start(backup))
    assert (code, result.state, result.files) == (0, MoveState.COMPLETED, 1)
    backend = restic.open(repository)
    (listed,) = backend.snapshots(tags=[f"run:{RUN}", "policy:shop", "claim:web"])
    assert (listed.id, listed.host) == (result.snapshot, "prod/shop")
    (movers.folder / "page").unlink()
    restore = movers.task(MoveKind.RESTORE, repository, snapshot=result.snapshot)
    code, result, more = movers.finish(movers.start(restore))
    assert (code, result.state) == (0, MoveState.COMPLETED)
    assert (movers.folder / "page").read_text() == "marker-content-51aa"
    run_log = (movers.tmp / "exec.log").read_text()
    for text in (log, more, run_log, movers.result.read_text()):
        assert PASSWORD not in text
        assert "marker-content" not in text
    assert run_log.count('"backup"') == 1


@pytest.mark.parametrize(
    ("password", "missing", "code"), [("wrong-password", False, 12), (PASSWORD, True, 10)]
)
def test_the_repositorys_own_exit_codes(
    movers: Movers, repository: Path, password: str, missing: bool, code: int
) -> None:
    url = repository / "nowhere" if missing else repository
    task = movers.task(MoveKind.BACKUP, url)
    got, result, _ = movers.finish(movers.start(task, password=password))
    assert got == code
    assert result.state is MoveState.FAILED
    assert str(url) in result.message
    assert "hint: " in result.message
    assert not (repository / "nowhere").exists()  # a mover never makes a repository


def test_a_term_signal_leaves_a_result_and_no_snapshot(
    movers: Movers, restic: Restic, repository: Path
) -> None:
    for number in range(24):
        (movers.folder / f"b{number}").write_bytes(os.urandom(16 << 20))
    process = movers.start(movers.task(MoveKind.BACKUP, repository))
    while not any(path.is_file() for path in (repository / "data").rglob("*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    code, result, _ = movers.finish(process)
    assert (code, result.state) == (130, MoveState.FAILED)
    assert "SIGTERM" in result.message
    assert restic.open(repository).snapshots() == ()
    assert list((repository / "locks").iterdir()) == []


def test_a_storage_that_is_away_ends_it_in_bounded_time(
    movers: Movers, own_s3: Callable[[], SeaweedFS]
) -> None:
    server = own_s3()
    server.kill()
    task = movers.task(MoveKind.BACKUP, server.repository("bucket"))
    code, result, _ = movers.finish(movers.start(task, extra=server.writer.environment()))
    assert (code, result.state) == (1, MoveState.FAILED)
    assert "connection refused" in result.message
    assert server.writer.secret_key not in movers.result.read_text()


def test_a_volume_that_is_not_mounted_is_an_error(movers: Movers, repository: Path) -> None:
    gone = dataclasses.replace(movers, folder=movers.folder.parent / "gone")
    code, result, _ = gone.finish(gone.start(gone.task(MoveKind.BACKUP, repository)))
    assert (code, result.state) == (1, MoveState.FAILED)
    assert "gone" in result.message
    assert "mounted" in result.message


def test_without_its_environment_it_says_what_is_missing(movers: Movers, repository: Path) -> None:
    task = movers.task(MoveKind.BACKUP, repository)
    code, result, _ = movers.finish(movers.start(task, password=""))
    assert (code, result.message.split(" (")[0]) == (2, "RESTIC_PASSWORD not set")


def test_a_result_that_cannot_be_written_is_in_the_log(movers: Movers, repository: Path) -> None:
    movers.result.unlink()
    movers.result.mkdir()
    process = movers.start(movers.task(MoveKind.BACKUP, repository))
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    found = moverprotocol.parse_result(log.splitlines()[-1])
    assert found is not None
    assert found.state is MoveState.COMPLETED
    assert "result not written" in log


def test_it_starts_without_heavy_imports() -> None:
    code = (
        "import sys, reconciler.cli.main, reconciler.cli.mover;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    heavy = {"kubernetes", "pydantic", "git", "rich", "ruamel", "orjson", "asyncio"}
    assert heavy.isdisjoint(found)
    assert "restic" in found
