"""The exact command lines that resticpy's builders give: a new one must not change them unseen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from restic.internal import command_executor

from reconciler.adapters import resticexec
from reconciler.adapters.resticrepo import ResticRepository
from reconciler.engine.mover import MoveOrder, run_move
from reconciler.model.volumes import MoveKind, MoveState, RepositoryAccess
from tests.fakes.clock import FakeClock
from tests.fakes.reporter import FakeReporter

ID = "f21910fde5321828575b086c193eb4dd8028604114b77ef352562de7978541e3"
PASSWORD = "marker-password-4bd1f0"
STORAGE_KEY = "marker-storage-key-77c1"
SNAPSHOT = {"id": ID, "time": "2026-11-21T04:17:03Z", "hostname": "prod/shop", "paths": ["/x"]}
ANSWERS = {
    "version": {"version": "0.18.0", "go_version": "go1", "go_os": "linux", "go_arch": "amd64"},
    "cat": {"version": 2, "id": ID},
    "init": {"message_type": "initialized", "id": ID},
    "snapshots": [SNAPSHOT],
    "backup": {"message_type": "summary", "snapshot_id": ID, "total_files_processed": 1},
    "restore": {"message_type": "summary", "files_restored": 1},
    "ls": {"struct_type": "node", "type": "dir", "path": "/web", "mode": 0o755},
}
RECORDER = """#!/bin/sh
printf '%s\\0' "$@" >> {folder}/argv
printf '\\n' >> {folder}/argv
env > {folder}/env
pwd > {folder}/cwd
for word in "$@"; do
  test -f {folder}/answers/"$word" && cat > {folder}/stdin && cat {folder}/answers/"$word" && exit 0
done
exit 99
"""


class Recorder:
    """A program in restic's place that writes down how it was called, and answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "answers").mkdir()
        for command, answer in ANSWERS.items():
            (folder / "answers" / command).write_text(json.dumps(answer) + "\n")
        (folder / "answers" / "dump").write_bytes(b"contents")
        program = folder / "restic"
        program.write_text(RECORDER.format(folder=folder))
        program.chmod(0o755)
        environment = {"RESTIC_PASSWORD": PASSWORD, "AWS_SECRET_ACCESS_KEY": STORAGE_KEY}
        access = RepositoryAccess(
            name="m", namespace="n", url="s3:https://s3/b", secret="s", environment=environment
        )
        self.repository = ResticRepository(
            access, cache_dir=folder / "cache", binary=str(program), retry_lock="2m"
        )

    def calls(self) -> list[list[str]]:
        """All calls but the one for the version, without the flags that every call has."""
        common = [
            "--json",
            f"--cache-dir={self.folder}/cache",
            "--retry-lock=2m",
            "--stuck-request-timeout=1m",
        ]
        found = []
        for line in (self.folder / "argv").read_text().split("\0\n")[:-1]:
            words = line.split("\0")
            if words[-1] != "version":
                assert words[:4] == common
                found.append(words[4:])
        return found

    def read(self, name: str) -> str:
        """What it wrote down about the last call."""
        return (self.folder / name).read_text()


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A program that records."""
    return Recorder(tmp_path)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume."""
    folder = tmp_path / "data" / "web"
    folder.mkdir(parents=True)
    return folder


def test_our_executor_stands_in_resticpys_place() -> None:
    assert command_executor.execute is resticexec.execute


def test_the_version_is_asked_once(recorder: Recorder) -> None:
    for _ in range(3):
        recorder.repository.open()
    assert recorder.read("argv").count("\0version\0") == 1


def test_backup(recorder: Recorder, volume: Path) -> None:
    result = recorder.repository.backup_folder(
        volume, host="prod/shop", tags=["policy:shop", "run:1"], exclude=["*.tmp", "-x"]
    )
    assert (result.state, result.snapshot) == (MoveState.COMPLETED, ID)
    (call,) = recorder.calls()
    assert call == [
        *("backup", "./web"),
        *("--exclude", "*.tmp", "--exclude", "-x"),
        *("--tag", "policy:shop", "--tag", "run:1"),
        *("--host", "prod/shop"),
        *("--group-by", "host,paths"),
    ]
    assert recorder.read("cwd").strip() == str(volume.parent)
    assert "RESTIC_PROGRESS_FPS=0.2\n" in recorder.read("env")


def test_backup_of_a_stream(recorder: Recorder) -> None:
    made = recorder.repository.backup_stream(
        [b"a", b"b"], host="prod/_cluster", path="/secrets.jsonl", tags=["run:1"]
    )
    assert made.id == ID
    assert recorder.calls() == [
        [
            *("--stdin=true", "--stdin-filename=/secrets.jsonl"),
            *("backup", "--tag", "run:1", "--host", "prod/_cluster", "--group-by", "host,paths"),
        ],
        ["snapshots", ID],
    ]


def test_restore(recorder: Recorder, volume: Path) -> None:
    recorder.repository.restore_folder(ID, "/data/web", volume)
    assert recorder.calls()[:2] == [
        ["ls", ID, "/"],
        ["--sparse=true", "restore", f"{ID}:/web", "--target", str(volume)],
    ]


def test_a_mover_opens_the_repository_no_more_often_than_the_copy_does(
    recorder: Recorder, volume: Path
) -> None:
    order = MoveOrder(
        kind=MoveKind.BACKUP, claim="web", root=volume, host="h", policy="p", run_id="r"
    )
    back = replace(order, kind=MoveKind.RESTORE, snapshot=ID)
    for each in (order, back):
        run_move(each, recorder.repository, FakeReporter(), FakeClock())
    words = [word for call in recorder.calls() for word in call]
    # A plain user asks once more in the end, for the owners.
    asked = ["ls"] if os.geteuid() else []
    assert [word for word in words if word in ANSWERS] == ["backup", "ls", "restore", *asked]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda r: r.open(), ["cat", "config"]),
        (lambda r: r.initialise(), ["init", "--repository-version", "2"]),
        (lambda r: r.snapshots(), ["snapshots"]),
        (
            lambda r: r.snapshots(tags=["policy:a", "run:1"], host="prod/shop"),
            ["snapshots", "--tag", "policy:a,run:1", "--host", "prod/shop"],
        ),
        (lambda r: list(r.read_file(ID, "/s.jsonl")), ["dump", ID, "/s.jsonl"]),
    ],
)
def test_questions(
    recorder: Recorder, call: Callable[[ResticRepository], object], expected: list[str]
) -> None:
    call(recorder.repository)
    assert recorder.calls() == [expected]


def test_secrets_are_in_the_environment_and_nowhere_else(recorder: Recorder, volume: Path) -> None:
    recorder.repository.open()
    recorder.repository.backup_folder(volume, host="h", tags=["t"])
    recorder.repository.backup_stream([b"x"], host="h", path="/s", tags=["t"])
    env = recorder.read("env")
    assert f"RESTIC_PASSWORD={PASSWORD}\n" in env
    assert f"AWS_SECRET_ACCESS_KEY={STORAGE_KEY}\n" in env
    assert "RESTIC_REPOSITORY=s3:https://s3/b\n" in env
    assert PASSWORD not in recorder.read("argv")
    assert STORAGE_KEY not in recorder.read("argv")
