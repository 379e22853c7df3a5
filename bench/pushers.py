"""Runs of different policies that push to one repository: one after the other, then all at once.

    .venv/bin/python -m bench.pushers --runs 60 --pairs 3

A real sshd with one bare repository on loopback; each run has a clone and a commit of its own, as
in a pod, and pushes a branch of its own. What is measured is the time of the pushes alone, by the
same code that a run publishes with. Side by side in one process, each pair on a new repository.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.engine.patience import Patience
from reconciler.engine.publishing import publish
from reconciler.model.store import Write
from tests.fakes.reporter import FakeReporter
from tests.rig.servers.sshd import Sshd

_WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
_LONG = 3600.0
"""Seconds: nobody gives up."""


class Round:
    """Stores of one repository, each with a commit that is not pushed yet."""

    def __init__(self, folder: Path, runs: int, files: int, closing: ExitStack) -> None:
        self.reporter = FakeReporter()
        server = closing.enter_context(Sshd(folder / "sshd"))
        server.create("manifests")
        stores = [
            closing.enter_context(
                GitManifestStore(
                    server.url("manifests"),
                    author_name="Backstay",
                    author_email="backstay@example.org",
                    credentials=parse_credentials(server.secret(), "Secret git"),
                    workdir=folder / f"work{number}",
                    deadline=_LONG,
                    allow_local=True,
                )
            )
            for number in range(runs)
        ]
        self.pushes = [self._commit(store, number, files) for number, store in enumerate(stores)]

    def _commit(self, store: GitManifestStore, number: int, files: int) -> Callable[[], object]:
        branch = f"clusters/prod/policy-{number:03}"

        def put_on(tip: str | None) -> str:
            writes = [
                Write(f"shop/configmap/{name}.yaml", f"run: {number}\nfile: {name}\n".encode() * 40)
                for name in range(files)
            ]
            return store.commit(branch, tip, writes, f"Run {number}", when=_WHEN)

        return partial(
            publish, store, branch, put_on(store.tip(branch)), put_on=put_on,
            recorded=lambda _: None, check=lambda: None, reporter=self.reporter,
            patience=Patience(
                what=f"pushing {branch}", clock=SystemClock(), reporter=self.reporter,
                deadline=datetime.now(UTC) + timedelta(seconds=_LONG),
            ),
        )  # fmt: skip


def measure(runs: int, files: int, together: int) -> tuple[float, int]:
    """(seconds of all pushes, how many were asked again), so many at the same time."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as closing:
        made = Round(Path(name), runs, files, closing)
        began = time.monotonic()
        if together == 1:
            for push in made.pushes:
                push()
        else:
            with ThreadPoolExecutor(together) as pool:
                list(pool.map(lambda push: push(), made.pushes))
        took = time.monotonic() - began
        again = len(made.reporter.of("trying again"))
        return took, again


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints each pair and the median of their ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--files", type=int, default=25)
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args(arguments)
    ratios = []
    for pair in range(1, asked.pairs + 1):
        row, _ = measure(asked.runs, asked.files, 1)
        once, again = measure(asked.runs, asked.files, asked.runs)
        ratios.append(once / row)
        print(
            f"pair {pair}: {asked.runs} pushes in a row {row:.2f} s,"
            f" at once {once:.2f} s, {again} asked again, ratio {once / row:.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f} (wanted: about 1 or less)")


if __name__ == "__main__":
    main()
