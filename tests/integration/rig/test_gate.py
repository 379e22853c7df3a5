"""The shims change nothing that a caller sees, and the gate sees and holds every process."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.cluster.errors import RigError
from tests.rig.gate import Gate, make_folder

# The "real" git of these tests: does as its arguments say.
PROGRAM = """\
#!{python}
import os, resource, signal, sys, time
what = sys.argv[1]
if what == "echo":
    sys.stdout.buffer.write(sys.stdin.buffer.read())
elif what == "show":
    print([os.fsencode(word) for word in sys.argv[2:]], os.getcwd(), sorted(os.environ), sep="\\n")
elif what == "exit":
    sys.exit(int(sys.argv[2]))
elif what == "die":
    os.kill(os.getpid(), int(sys.argv[2]))
elif what == "trap":
    def end(number, frame):
        os.write(1, b"got %d\\n" % number)
        sys.exit(7)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, end)
    os.write(1, b"ready %d\\n" % os.getpid())
    time.sleep(60)
elif what == "ignores":
    print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, signal.pthread_sigmask(0, []))
elif what == "limits":
    time.sleep(0.3)
    print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_FSIZE)[0])
elif what == "files":
    print(os.read(int(sys.argv[2]), 100).decode())
elif what == "close":
    os.close(0)
    os.close(1)
    time.sleep(60)
"""


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a gate on loopback."""
    with Gate() as gate:
        yield gate


class Bench:
    """A shim for git before a program that does as it is told."""

    def __init__(self, folder: Path, gate: str) -> None:
        real = folder / "real"
        real.mkdir()
        program = real / "git"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        self.shims = make_folder(folder / "shims", gate=gate)
        self.env = {"PATH": f"{self.shims}:{real}", "TOKEN": "very-secret"}
        self.argv0 = str(self.shims / "git")

    def start(self, *words: str, **more: object) -> subprocess.Popen[bytes]:
        """Starts it with pipes."""
        options: dict[str, object] = {
            "env": self.env, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE, **more,
        }  # fmt: skip
        return subprocess.Popen(["git", *words], **options)  # type: ignore[call-overload, no-any-return]

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs it to its end."""
        return subprocess.run(
            ["git", *words], env=self.env, input=stdin, capture_output=True, check=False, timeout=30
        )


@pytest.fixture
def bench(tmp_path: Path, gate: Gate) -> Bench:
    """Return a shim that reports to the gate."""
    return Bench(tmp_path, gate.place)


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_call_is_reported_with_names_and_without_values(gate: Gate, bench: Bench) -> None:
    done = bench.run("exit", "3", "zwei words", "ä\udcff")
    assert done.returncode == 3
    (call,) = gate.calls("git")
    assert call.argv == ("git", "exit", "3", "zwei words", "ä\udcff")
    assert call.names == {"PATH", "TOKEN"}
    assert call.host == socket.gethostname()
    assert call.code == 3
    assert call.ended is not None
    assert call.started <= call.ended
    assert call.cwd == str(Path.cwd())
    assert Path("/proc/self/cmdline").read_text().split("\0")[0] in call.parent
    assert call.pid > 0
    assert "very-secret" not in repr(call)
    assert gate.calls("git", "exit", "3") == [call]
    assert gate.calls("git", "push") == []
    assert gate.calls("restic") == []
    gate.forget()
    assert gate.calls() == []


def test_arguments_folder_environment_and_streams_pass(bench: Bench, tmp_path: Path) -> None:
    big = os.urandom(3 << 20)
    assert bench.run("echo", stdin=big).stdout == big
    process = bench.start("show", "", "a b", "new\nline", "\udcff", cwd=tmp_path)
    said, errors = process.communicate(timeout=30)
    words, cwd, names = said.decode().splitlines()
    assert words == str([b"", b"a b", b"new\nline", b"\xff"])
    assert cwd == str(tmp_path)
    assert "TOKEN" in names
    assert "PATH" in names
    assert errors == b""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_death_by_signal_is_one_for_the_caller_too(
    gate: Gate, bench: Bench, number: signal.Signals
) -> None:
    assert bench.run("die", str(int(number))).returncode == -number
    assert gate.calls()[-1].code == -number


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=lambda n: n.name
)
def test_signals_reach_the_program(bench: Bench, number: signal.Signals) -> None:
    with bench.start("trap") as process:
        assert _line(process).startswith(b"ready")
        process.send_signal(number)
        assert _line(process) == f"got {int(number)}\n".encode()
        assert process.wait(30) == 7


def test_killing_the_shim_kills_the_program(gate: Gate, bench: Bench) -> None:
    with bench.start("trap") as process:
        inner = int(_line(process).split()[1])
        assert inner != process.pid
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        assert process.stdout is not None
        assert process.stdout.read() == b""  # its end is closed: the program is gone
    deadline = time.monotonic() + 30
    while gate.calls()[0].ended is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert gate.calls()[0].code is None


def test_a_signal_to_the_group_ends_both(bench: Bench) -> None:
    with bench.start("trap", start_new_session=True) as process:
        _line(process)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == f"got {int(signal.SIGTERM)}\n".encode()  # once
        assert process.wait(30) == 7


def test_what_is_ignored_or_masked_stays_so(bench: Bench) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = bench.start("ignores")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.communicate(timeout=30)[0].split() == [b"True", b"set()"]


def test_limits_set_on_the_shim_reach_the_program(gate: Gate, bench: Bench) -> None:
    memory, size = 1 << 29, 1 << 20
    process = bench.start("limits")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    assert process.communicate(timeout=30)[0].split() == [str(memory).encode(), str(size).encode()]


def test_inherited_files_pass(bench: Bench) -> None:
    inner, outer = os.pipe()
    os.write(outer, b"a password")
    os.close(outer)
    process = bench.start("files", str(inner), pass_fds=(inner,))
    os.close(inner)
    assert process.communicate(timeout=30)[0] == b"a password\n"


def test_the_shim_holds_no_pipe_open(bench: Bench) -> None:
    inner, outer = os.pipe()
    with bench.start("close", stdin=inner) as process:
        os.close(inner)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        with pytest.raises(BrokenPipeError):
            os.write(outer, b"x")
        process.kill()
    os.close(outer)


def test_before_the_program_starts(gate: Gate, bench: Bench) -> None:
    with gate.held("git", "echo") as hold:
        other = bench.run("exit", "0")  # not the one: it passes
        assert other.returncode == 0
        process = bench.start("echo")
        call = hold.wait(30)
        assert call.pid == process.pid
        assert call.code is None
        assert process.poll() is None
    assert process.communicate(b"hello", timeout=30)[0] == b"hello"


def test_after_it_ended_and_before_its_caller_knows(gate: Gate, bench: Bench) -> None:
    with gate.held("git", "exit", at="after", nth=2) as hold:
        assert bench.run("exit", "4").returncode == 4
        process = bench.start("exit", "5")
        assert hold.wait(30).code == 5
        assert process.poll() is None
        hold.release()
        assert process.wait(30) == 5
        assert bench.run("exit", "6").returncode == 6  # one is caught, not each
    process.communicate()


def test_a_held_process_can_be_killed(gate: Gate, bench: Bench) -> None:
    with gate.held("git") as hold, bench.start("exit", "0") as process:
        call = hold.wait(30)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
    assert call.code is None


def test_a_hold_that_catches_nothing_says_what_it_waits_for(gate: Gate) -> None:
    with (
        gate.held("restic", "backup", at="after", pod="shop") as hold,
        pytest.raises(RigError, match=r"after restic backup \(nth=1\) in a pod shop…"),
    ):
        hold.wait(0.01)
    assert not hold.caught


def test_without_a_gate_it_goes_on_at_once(tmp_path: Path) -> None:
    with Gate() as gate:
        place = gate.place
    bench = Bench(tmp_path, place)
    begin = time.monotonic()
    assert bench.run("exit", "3").returncode == 3
    assert time.monotonic() - begin < 20


def test_when_the_gate_goes_the_held_go_on(tmp_path: Path) -> None:
    gate = Gate()
    gate.start()
    bench = Bench(tmp_path, gate.place)
    with gate.held("git", "exit") as hold:
        process = bench.start("exit", "3")
        hold.wait(30)
        gate.stop()
        assert process.wait(30) == 3
    process.communicate()


def test_a_program_that_is_not_there(tmp_path: Path, gate: Gate) -> None:
    shims = make_folder(tmp_path / "shims", gate=gate.place)
    done = subprocess.run(
        [shims / "restic"], env={"PATH": str(shims)}, capture_output=True, check=False
    )
    assert done.returncode == 127
    assert done.stderr == b"shim: no other restic on PATH\n"
    assert gate.calls() == []


@pytest.mark.parametrize(
    ("program", "inside", "expected"),
    [
        ("backstay", True, "10.1.2.3 7443 7443"),
        ("backstay", False, "None None None"),  # no pod: it has a kubeconfig
        ("git", True, "10.0.0.1 443 443"),
    ],
)
def test_only_backstay_in_a_pod_meets_the_proxy(
    tmp_path: Path, gate: Gate, program: str, inside: bool, expected: str
) -> None:
    names = [f"KUBERNETES_SERVICE_{end}" for end in ("HOST", "PORT", "PORT_HTTPS")]
    real = tmp_path / program
    real.write_text(f"#!{sys.executable}\nimport os\nprint(*map(os.environ.get, {names}))\n")
    real.chmod(0o755)
    shims = make_folder(tmp_path / "shims", gate=gate.place, api="10.1.2.3:7443")
    pod = dict(zip(names, ("10.0.0.1", "443", "443"), strict=True)) if inside else {}
    env = {"PATH": f"{shims}:{tmp_path}", **pod}
    done = subprocess.run([program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
