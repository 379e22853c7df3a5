"""The newest run of the policy `shop`, as it lies on its branch."""

from __future__ import annotations

from typing import Any

from reconciler.capture import message, record
from reconciler.model.run import RunRecord
from tests.rig.cluster.errors import RigError
from tests.rig.stage.stage import CAPTURES, Stage

BRANCH = "clusters/demo/shop"
"""The branch of a stage that is called demo, as most are."""


class Run:
    """The newest run on the branch, as a fresh clone shows it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bare = stage.sshd.path(CAPTURES)
        branch = f"clusters/{stage.name}/shop"
        self.commit = stage.git("rev-parse", branch, cwd=self.bare).strip()
        self.record: RunRecord = record.parse_record(self.file("_run.yaml"))

    def file(self, path: str) -> bytes:
        """A file of its tree."""
        return self.stage.git("show", f"{self.commit}:{path}", cwd=self.bare).encode()

    def files(self) -> list[str]:
        """Paths of its tree."""
        return self.stage.git("ls-tree", "-r", "--name-only", self.commit, cwd=self.bare).split()

    def trailers(self) -> dict[str, str]:
        """Trailers of its commit."""
        text = self.stage.git("log", "-1", "--format=%B", self.commit, cwd=self.bare)
        return message.parse_trailers(text)

    def changed_since(self, other: Run) -> list[str]:
        """Paths that differ between two commits."""
        args = ("diff", "--name-only", other.commit, self.commit)
        return self.stage.git(*args, cwd=self.bare).split()

    def history(self) -> list[str]:
        """Commits of the branch, newest first, along its one line."""
        return self.stage.git("rev-list", "--first-parent", self.commit, cwd=self.bare).split()

    def recorded(self) -> list[str]:
        """Ids of the runs on the branch, one per commit that is a run's, newest first."""
        shape = "--format=%(trailers:key=Backstay-Run,valueonly)"
        return self.stage.git("log", shape, self.commit, cwd=self.bare).split()

    def volumes(self) -> dict[str, Any]:
        """claim → its record."""
        return {v.claim: v for part in self.record.namespaces for v in part.volumes}


def run_again(stage: Stage, *, code: int = 0) -> Run:
    """`backstay run shop` to its end, which must have this exit code."""
    done = stage.backstay("run", "shop", check=False)
    if done.returncode != code:
        raise RigError(
            f"backstay run shop: exit {done.returncode}, not {code}", hint=done.stdout + done.stderr
        )
    return Run(stage)
