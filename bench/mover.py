"""A mover beside bare restic: CPU seconds of a backup, and the time until restic begins.

    .venv/bin/python -m bench.mover --mib 1024 --files 10000 --pairs 5

Both back up the same folder with the same options into a repository of their own, a copy of one
that was just made. CPU seconds are those of the process and of all that it waited for, as the
kernel counts them: other programs on the machine change them little. Interleaved pairs, and who
begins alternates. The start-up is taken with a restic that does nothing but leave a file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.rig.tools import restic_path

PASSWORD = "bench-password-of-32-characters!"  # noqa: S105 - made up
BACKSTAY = str(Path(sys.executable).parent / "backstay")
HOST, POLICY, RUN = "bench/shop", "shop", "shop-20261121-041703-7c1e9"
ORDER = ("--claim", "web", "--host", HOST, "--policy", POLICY, "--run", RUN)


def fill(folder: Path, mib: int, files: int) -> None:
    """That many files of equal size in a hundred folders, of bytes that can't be compressed."""
    size = (mib << 20) // files
    for number in range(files):
        place = folder / f"d{number % 100}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(os.urandom(size))


def environment(repository: Path, scratch: Path, programs: str) -> dict[str, str]:
    """All that either is given."""
    return {
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(scratch),
        "RESTIC_CACHE_DIR": str(scratch / "cache"),
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": PASSWORD,
    }


def cpu_seconds(argv: Sequence[str], env: dict[str, str], cwd: Path) -> float:
    """Runs it to its end, which must be a good one."""
    with (Path(env["HOME"]) / "output").open("wb") as out:
        child = subprocess.Popen(argv, env=env, cwd=cwd, stdout=out, stderr=out)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError((Path(env["HOME"]) / "output").read_text())
    return used.ru_utime + used.ru_stime


@contextmanager
def repository(template: Path) -> Iterator[tuple[Path, Path]]:
    """A fresh repository and a folder for everything else."""
    with tempfile.TemporaryDirectory(dir=template.parent) as scratch:
        yield Path(shutil.copytree(template, Path(scratch) / "repository")), Path(scratch)


def by_mover(template: Path, volume: Path) -> float:
    """CPU seconds of `backstay mover backup`."""
    with repository(template) as (made, scratch):
        argv = [BACKSTAY, "mover", "backup", *ORDER, f"--root={volume}"]
        env = environment(made, scratch, str(restic_path().parent))
        return cpu_seconds([*argv, f"--result={scratch / 'result'}"], env, volume.parent)


def by_restic(template: Path, volume: Path) -> float:
    """CPU seconds of `restic backup` with the same options."""
    with repository(template) as (made, scratch):
        tags = [word for tag in (f"policy:{POLICY}", f"run:{RUN}", "claim:web")
                for word in ("--tag", tag)]  # fmt: skip
        argv = [str(restic_path()), "--json", "backup", f"./{volume.name}", "--host", HOST, *tags]
        env = environment(made, scratch, os.defpath) | {"RESTIC_PROGRESS_FPS": "0.2"}
        return cpu_seconds(argv, env, volume.parent)


def start_up(folder: Path) -> float:
    """Seconds from the start of a mover to its first restic."""
    programs = Path(tempfile.mkdtemp(dir=folder))
    began = programs / "began"
    shim = programs / "restic"
    shim.write_text(f"#!/bin/sh\n[ -e {began} ] || : >{began}\nexit 1\n")
    shim.chmod(0o755)
    argv = [BACKSTAY, "mover", "backup", *ORDER, f"--root={folder}", f"--result={programs / 'r'}"]
    env = environment(folder / "nowhere", programs, str(programs))
    before = time.time()
    subprocess.run(argv, env=env, capture_output=True, check=False)
    return began.stat().st_mtime - before


def bare_python() -> float:
    """Seconds of `python -c pass`."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - before


def compare_copies(folder: Path, mib: int, files: int, pairs: int) -> dict[str, object]:
    """CPU seconds of both, and the median of the pairs' ratios."""
    volume, template = folder / "web", folder / "template"
    fill(volume, mib, files)
    env = environment(template, folder, os.defpath)
    subprocess.run([restic_path(), "init", "--quiet"], env=env, check=True)
    ours, bare = [], []
    for number in range(pairs):
        if number % 2:
            bare.append(by_restic(template, volume))
        ours.append(by_mover(template, volume))
        if not number % 2:
            bare.append(by_restic(template, volume))
    ratios = [mine / plain for mine, plain in zip(ours, bare, strict=True)]
    return {
        "mib": mib, "files": files, "pairs": pairs, "mover": spread(ours), "restic": spread(bare),
        "ratio": round(statistics.median(ratios), 3),
    }  # fmt: skip


def compare_starts(folder: Path, pairs: int) -> dict[str, object]:
    """Wall-clock seconds of both."""
    taken = [(start_up(folder), bare_python()) for _ in range(pairs)]
    ours, bare = ([each[i] for each in taken] for i in (0, 1))
    return {"pairs": pairs, "mover": spread(ours), "python -c pass": spread(bare)}


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    found = (statistics.median(seconds), min(seconds), max(seconds))
    return dict(zip(("median", "from", "to"), (round(x, 3) for x in found), strict=True))


def main() -> None:
    """Prints both comparisons as one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.mover")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts = compare_starts(Path(folder), options.starts)
        copies = compare_copies(Path(folder), options.mib, options.files, options.pairs)
    load = os.getloadavg()[0]
    print(json.dumps({"start": starts, "cpuSeconds": copies, "load": load}, indent=2))


if __name__ == "__main__":
    main()
