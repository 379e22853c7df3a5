"""The demo tells a command as it begins, so that nobody watches a silent terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import cast

import pytest

from tests.rig.cluster.errors import RigError
from tests.rig.stage import demo
from tests.rig.stage.stage import Stage


class Watched:
    """A stage on which a command only notes what had been printed before it."""

    repository_prefix = "s3:https://s3.example.org/"

    def __init__(self, printed: Callable[[], str], *, fails: str) -> None:
        self._printed = printed
        self._fails = fails
        self.last = ""

    def push_policies(self, files: dict[str, str], message: str) -> str:
        """A commit."""
        return f"{len(files)}{message}"

    def wait(self, *_: object, **__: object) -> None:
        """What is waited for is there."""

    def backstay(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The command, which fails when it is the one to be looked at."""
        self.last = self._printed()
        if args[0] == self._fails:
            raise RigError("looked at")
        return subprocess.CompletedProcess(args, 0, "")

    def kubectl(self, *args: str, **_: object) -> str:
        """The same for kubectl."""
        if args[0] == "delete" and self._fails == "delete":
            self.last = self._printed()
            raise RigError("looked at")
        return ""


@pytest.mark.parametrize(
    ("step", "verb", "told"),
    [
        (demo.back_up, "run", "$ backstay run shop\n"),
        (demo.back_up, "log", "$ backstay log shop\n"),
        (
            demo.lose_and_restore, "delete",
            "$ kubectl delete namespace shop; kubectl delete crd products.shop.example.org\n",
        ),
        (demo.lose_and_restore, "restore", "$ backstay restore shop --at latest --yes\n"),
    ],
)  # fmt: skip
def test_a_command_is_told_as_it_begins(
    step: Callable[[Stage], None], verb: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Watched(lambda: capsys.readouterr().out, fails=verb)
    with pytest.raises(RigError, match="looked at"):
        step(cast("Stage", stage))
    assert stage.last.endswith(told)
