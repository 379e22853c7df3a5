"""I3: a process that dies of a fault leaves no copy of its memory, and nor do its children."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from reconciler.cli import coredumps

FORBID = "from reconciler.cli import coredumps; coredumps.forbid();"
DIE = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
GIT = "#!/bin/sh\ncat /proc/self/limits > {}\nexit 1\n"
UNLIMITED = 'ulimit -S -c $(ulimit -H -c); exec "$@"'


def unlimited(*argv: str) -> list[str]:
    """A command with as large a dump as it may have."""
    return ["sh", "-c", UNLIMITED, "sh", *argv]


def test_a_process_that_forbids_it_dumps_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen(unlimited(sys.executable, "-c", FORBID + DIE), cwd=tmp_path)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = status
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


def test_the_command_forbids_it_before_it_starts_a_program(tmp_path: Path) -> None:
    """A git of ours writes down its own limits."""
    told = tmp_path / "limits"
    (tmp_path / "git").write_text(GIT.format(told))
    (tmp_path / "git").chmod(0o755)
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", clone], check=True)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = [str(Path(sys.executable).parent / "backstay"), "log", "--clone", str(clone)]
    subprocess.run(unlimited(*command), env={**os.environ, "PATH": path}, capture_output=True)
    limits = re.search(r"Max core file size +(\S+) +(\S+)", told.read_text())
    assert limits is not None
    assert {*limits.groups()} <= {"0", str(coredumps.LIMIT)}
