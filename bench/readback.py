"""Reading a long history back, from a plain clone: how long, and how much memory.

    .venv/bin/python -m bench.readback --objects 5000 --runs 8760 --changed 25 --manifests 20000

Makes a manifest repository as so many runs would have left it (a year of hourly ones by default),
repacks it, and types the commands on it, each in a process of its own with its start-up: that is
what a person waits for. The last part reads manifests, beside `git cat-file --batch` of the same
files as its floor: what a restore and a diff of everything have to read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.gitlocal import LocalManifests
from reconciler.capture import canonical, emitter, message, record
from reconciler.model.run import Counts
from tests.integration.git.history_world import BRANCH, FIRST, make_record

_PER_KIND = 500


def manifest(number: int, version: int) -> bytes:
    """A Deployment of 1.6 KB."""
    labels = {f"example.org/label-{index}": f"value-{number}-{index}" for index in range(6)}
    env = [{"name": f"VARIABLE_{index}", "value": f"{number} {index}"} for index in range(12)]
    container = {
        "env": env,
        "image": f"registry.example.org/web:{version}",
        "name": "web",
        "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"labels": labels, "name": f"web-{number}", "namespace": "shop"}
    head = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return emitter.emit({**head, "metadata": metadata, "spec": spec})


def path_of(number: int) -> str:
    """Some kinds, some hundred objects of each."""
    return f"shop/deployment.g{number // _PER_KIND}.example.org/web-{number}.yaml"


def stream(objects: int, runs: int, changed: int) -> Iterator[bytes]:
    """The history for `git fast-import`."""
    dice = random.Random(1)  # noqa: S311 - the same history every time
    for run in range(runs):
        chosen = range(objects) if run == 0 else sorted(dice.sample(range(objects), changed))
        counts = Counts(
            captured=objects,
            created=objects if run == 0 else 0,
            changed=0 if run == 0 else changed,
        )
        made = make_record(1, 0, 0, 0, 0)
        started = FIRST + timedelta(hours=run)
        (part,) = made.namespaces
        made = replace(
            made,
            name=f"shop-{started:%Y%m%d-%H%M%S}-00000",
            started=started,
            finished=started + timedelta(seconds=9),
            namespaces=(replace(part, objects=counts, captured=started),),
            cluster_scoped=None,
        )
        told = message.render_message(made).encode()
        when = int(made.finished.timestamp())
        yield b"commit refs/heads/%s\n" % BRANCH.encode()
        yield b"committer Backstay <b@example.org> %d +0000\n" % when
        yield b"data %d\n%s\n" % (len(told), told)
        files = [(path_of(number), manifest(number, run)) for number in chosen]
        for name, data in [*files, ("_run.yaml", record.render_record(made))]:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)


def make_repository(folder: Path, objects: int, runs: int, changed: int) -> Path:
    """A bare repository, repacked."""
    target = folder / "captures.git"
    subprocess.run(["git", "init", "--quiet", "--bare", target], check=True)
    command = ["git", "-C", str(target), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        if child.stdin is None:
            raise RuntimeError("no pipe")
        for chunk in stream(objects, runs, changed):
            child.stdin.write(chunk)
        child.stdin.close()
    subprocess.run(["git", "-C", target, "repack", "-adq", "--depth=50", "--window=10"], check=True)
    subprocess.run(["git", "-C", target, "commit-graph", "write", "--reachable"], check=True)
    return target


def type_command(clone: Path, *words: str) -> tuple[float, float, float]:
    """(seconds, seconds of CPU, peak MiB) of a command with all the processes it started."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *words, "--clone", str(clone)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode > 1:
        raise RuntimeError(f"{words}: exit {child.returncode}")
    took, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
    return took, cpu, usage.ru_maxrss / 1024


def commands(clone: Path, pairs: int) -> Iterator[dict[str, object]]:
    """What people type, on the newest runs."""
    with LocalManifests(clone) as store:
        (newest,) = store.log(BRANCH, limit=1)
    run = newest.trailers["Backstay-Run"]
    for words in (
        ("log", "shop", "-n", "20"),
        ("log", "shop"),
        ("log", "shop", "--namespace", "shop", "-n", "20"),
        ("log", "shop", "--object", "shop/deployment/web-7"),
        ("show", "run", run),
        ("show", "run", run, "shop/deployment/web-7"),
        ("diff", "shop^", run),
        ("diff", "shop@2026-11-20T02:00:00Z", run),
        ("blame", "shop", "deployment", "web-7"),
        ("verify", "--no-repositories"),
    ):
        found = [type_command(clone, *words) for _ in range(pairs if words[0] != "verify" else 1)]
        yield {
            "command": " ".join(words),
            "seconds": round(statistics.median(seconds for seconds, _, _ in found), 2),
            "cpu": round(statistics.median(cpu for _, cpu, _ in found), 2),
            "peakMiB": round(max(peak for _, _, peak in found)),
        }


def read_all(clone: Path) -> dict[str, object]:
    """Every manifest of the newest tree, beside `git cat-file --batch`."""
    with LocalManifests(clone) as store:
        tip = str(store.tip(BRANCH))
        tree = store.tree(tip)
        ids = list(tree.values())
        request = "".join(f"{sha}\n" for sha in ids).encode()
        begun = time.perf_counter()
        command = ["git", "-C", str(clone), "cat-file", "--batch"]
        subprocess.run(command, input=request, stdout=subprocess.DEVNULL, check=True)
        floor = time.perf_counter() - begun
        begun = time.perf_counter()
        size = sum(len(data) for _, data in store.blobs(ids))
        read = time.perf_counter() - begun
        begun, cpu = time.perf_counter(), time.process_time()
        for _, data in store.blobs(ids):
            canonical.read_manifest(data)
        parsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "manifests": len(ids),
        "bytes": size,
        "floor": round(floor, 2),
        "read": round(read, 2),
        "readAndParsed": round(parsed, 2),
        "readAndParsedCpu": round(cpu, 2),
    }


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=8760)
    parser.add_argument("--changed", type=int, default=25)
    parser.add_argument("--manifests", type=int, default=20000)
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        year = make_repository(Path(folder), asked.objects, asked.runs, asked.changed)
        size = sum(path.stat().st_size for path in year.rglob("*") if path.is_file())
        found: dict[str, object] = {
            "runs": asked.runs,
            "objects": asked.objects,
            "repositoryMiB": round(size / 2**20, 1),
            "commands": list(commands(year, asked.pairs)),
        }
    with tempfile.TemporaryDirectory() as folder:
        found["reading"] = read_all(make_repository(Path(folder), asked.manifests, 1, 0))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
