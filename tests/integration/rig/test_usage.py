"""What a measurement of ours says of memory and CPU is its process' own."""

from __future__ import annotations

import subprocess
import sys

from bench import usage

_SMALL = "from bench import usage; print(usage.peak_mib())"
_LARGE = f"""
import subprocess, sys
held = b"x" * (200 << 20)
print(subprocess.run([sys.executable, "-c", {_SMALL!r}], check=True, capture_output=True,
                     text=True).stdout)
"""


def _print(program: str) -> float:
    return float(subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout)  # fmt: skip


def test_a_small_process_is_small_whoever_started_it() -> None:
    assert 1 < _print(_LARGE) < 100


def test_a_large_process_stays_known_as_large() -> None:
    held = "from bench import usage; held = b'x' * (200 << 20); del held; print(usage.peak_mib())"
    assert _print(held) > 200


def test_cpu_seconds_are_those_of_children_too() -> None:
    before = usage.cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(i * i for i in range(3_000_000))"], check=True)
    assert usage.cpu_seconds() - before > 0.1
