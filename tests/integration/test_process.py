"""Processes end in time with their children, inherit nothing, and leave a line in the log."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from reconciler.adapters import process
from reconciler.model.errors import Refused

PATH = {"PATH": os.environ["PATH"]}


def test_output_code_and_stderr_come_back() -> None:
    done = process.run(
        ["sh", "-c", "cat; echo oops >&2; exit 7"], env=PATH, stdin=b"in", deadline=10
    )
    assert (done.code, done.stdout, done.stderr) == (7, b"in", b"oops\n")


def test_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKER", "from outside")
    done = process.run(["env"], env=PATH | {"ONLY": "this"}, deadline=10)
    assert b"from outside" not in done.stdout
    assert b"ONLY=this\n" in done.stdout


def test_a_megabyte_goes_through_both_ways() -> None:
    data = os.urandom(1 << 20)
    done = process.run(["sh", "-c", "tee /dev/stderr"], env=PATH, stdin=data, deadline=30)
    assert done.stdout == data
    assert done.stderr == data[-(1 << 16) :]


def test_a_program_that_reads_nothing_does_not_hang_us() -> None:
    done = process.run(["true"], env=PATH, stdin=b"x" * (1 << 20), deadline=10)
    assert done.code == 0


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600",
        "trap '' TERM; sleep 600 & wait; sleep 600",
        "sleep 600 & echo $!; sleep 600",
        "sleep 600 & exit 0",
    ],
    ids=["simple", "deaf to SIGTERM", "with a child", "outlived by a child"],
)
def test_a_deadline_ends_the_process_and_its_children(script: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(process.DeadlineExceeded, match="within 1 s"):
        process.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; {script}"], env=PATH, deadline=1)
    assert time.monotonic() - started < 100
    assert group_ends(int((tmp_path / "pid").read_text()))


def test_an_exception_ends_the_process_and_its_children() -> None:
    def leave(child: process.Child) -> None:
        child.stdout.readline()
        raise KeyboardInterrupt

    child = process.Child(
        ["sh", "-c", "(trap '' TERM; sleep 60; sleep 60) & echo on; sleep 60"],
        env=PATH,
        deadline=60,
    )
    with pytest.raises(KeyboardInterrupt), child:
        leave(child)
    assert group_ends(child.pid)


def group_ends(group: int) -> bool:
    """Whether a group's processes end: who was killed is still there until it gets its turn."""
    until = time.monotonic() + 30
    while group_alive(group) and time.monotonic() < until:
        time.sleep(0.05)
    return not group_alive(group)


def group_alive(group: int) -> bool:
    """Whether a process of this group runs (zombies do not)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def test_output_over_the_cap_is_cut_and_the_process_ended() -> None:
    done = process.run(["yes"], env=PATH, deadline=30, max_stdout=1000)
    assert done.truncated
    assert len(done.stdout) == 1000


def test_a_file_over_the_cap_is_not_written(tmp_path: Path) -> None:
    script = f"sleep 0.2; head -c 100000 /dev/zero > {tmp_path}/big"
    done = process.run(
        ["sh", "-c", script], env=PATH, deadline=30, caps=process.Caps(file_size=4096)
    )
    assert done.code != 0
    assert (tmp_path / "big").stat().st_size == 4096


def test_memory_over_the_cap_is_not_given() -> None:
    script = "import time; time.sleep(0.3); bytearray(1 << 30)"
    argv = [sys.executable, "-c", script]
    done = process.run(argv, env=PATH, deadline=30, caps=process.Caps(memory=1 << 29))
    assert b"MemoryError" in done.stderr


def test_a_missing_program_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no-such-program is not installed") as caught:
        process.run(["no-such-program"], env=PATH, deadline=10)
    assert "PATH" in caught.value.hint
    with pytest.raises(Refused, match="folder is not there"):
        process.run(["true"], env=PATH, cwd=tmp_path / "gone", deadline=10)


def test_the_log_has_arguments_names_and_codes_and_no_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("BACKSTAY_EXEC_LOG", str(log))
    process.run(["sh", "-c", "exit 3"], env=PATH | {"TOKEN": "hunter2"}, deadline=10)
    with pytest.raises(process.DeadlineExceeded):
        process.run(["sleep", "60"], env=PATH, deadline=0.1)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines == [
        {"argv": ["sh", "-c", "exit 3"], "env": ["PATH", "TOKEN"], "code": 3},
        {"argv": ["sleep", "60"], "env": ["PATH"], "code": -15},
    ]
    assert "hunter2" not in log.read_text()


def test_a_stream_is_written_and_read_side_by_side() -> None:
    script = "import sys\nfor line in sys.stdin: print(len(line), flush=True)"
    with process.Child([sys.executable, "-c", script], env=PATH, stdin=True, deadline=30) as child:
        for size in (1, 10, 100):
            child.stdin.write(b"x" * (size - 1) + b"\n")
            child.stdin.flush()
            assert child.stdout.readline() == b"%d\n" % size
        assert child.wait().code == 0


def test_an_empty_stdin_is_closed_too() -> None:
    assert process.run(["cat"], env=PATH, stdin=b"", deadline=10).stdout == b""


def test_everything_that_runs_can_be_ended_at_once() -> None:
    with process.Child(["sleep", "60"], env=PATH, deadline=60) as child:
        process.end_all()
        assert child.wait().code == -15
