"""The cluster is gone: docs/recovery.md, typed line by line, on a second real cluster.

The second one has nothing of Backstay: what comes back is in the manifest repository and in restic,
and what opens them are three files on a laptop. The first cluster goes on, and is not asked.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.model.run import Outcome
from tests.rig.cluster import providers, session
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.paths import REPOSITORY
from tests.rig.cluster.progress import say
from tests.rig.cluster.providers import KUBECTL
from tests.rig.stage import Stage, shop
from tests.rig.stage.runs import Run, run_again

PAGE = (REPOSITORY / "docs/recovery.md").read_text()
KEYS, LOOK, RESTORE, ADOPT = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[:4]
(CONFIG,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
README = (REPOSITORY / "README.md").read_text()


@pytest.fixture(scope="module")
def empty() -> Iterator[providers.Cluster]:
    """Return a cluster that never saw Backstay: a given one can't be two."""
    with session.opened("empty") as cluster:
        if not isinstance(cluster.provider, providers.Built):
            raise RigError("a given cluster is not a second one", hint="leave this test out")
        yield cluster


class Laptop:
    """A folder with three files, and a terminal in it."""

    def __init__(self, stage: Stage, cluster: providers.Cluster, folder: Path) -> None:
        self._stage = stage
        self._cluster = cluster
        self.folder = folder
        kept = stage.folder / "credentials"
        for name in ("identity", "known_hosts"):
            shutil.copy(kept / "git" / name, folder / name)
        lines = [
            f"{key.name}={key.read_text()}" for key in sorted((kept / "restic-main").iterdir())
        ]
        (folder / "restic-main.env").write_text("\n".join(lines) + "\n")

    def write_config(self) -> None:
        """The page's file, with this stage's values in place of its own."""
        config = yaml.safe_load(CONFIG)
        old = yaml.safe_load(self._stage.config.read_text())
        config["cluster"] = old["cluster"]
        config["image"] = old["image"]
        for part in ("policySource", "manifestStore"):
            config[part]["url"] = old[part]["url"]
        (self.folder / "recovery.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def type(self, commands: str) -> str:
        """What these lines say; each must succeed."""
        environment = self._stage.environment() | {
            "HOME": str(self.folder),
            "KUBECONFIG": str(self._cluster.kubeconfig),
        }
        programs = f"{Path(self._stage.program).parent}:{KUBECTL.parent}"
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def planned(self, at: str) -> str:
        """The run that ``--at`` means."""
        said = self.type(f"backstay restore shop --plan --at {at} -o json --config recovery.yaml")
        return str(json.loads(said)["run"])


def test_readme_and_page_say_what_is_tested() -> None:
    typed = {line.partition("  #")[0].strip() for line in (LOOK + RESTORE + ADOPT).splitlines()}
    (lines,) = re.findall(r"```sh\n([^`]*--config recovery\.yaml[^`]*)```", README)
    commands = [line.partition("  #")[0].strip() for line in lines.splitlines()]
    assert len([line for line in commands if line.startswith("backstay")]) == 4
    assert set(commands) <= typed


def test_it_comes_back_on_an_empty_cluster_and_goes_on(
    stage: Stage, first: Run, empty: providers.Cluster, tmp_path: Path
) -> None:
    good = run_again(stage)
    files = shop.listing(stage)
    assert isinstance(empty.provider, providers.Built)
    empty.provider.reach(stage.cluster.host_address)
    laptop = Laptop(stage, empty, tmp_path)
    begun = time.monotonic()
    laptop.type(KEYS)
    laptop.write_config()
    assert stage.image is not None
    empty.load_image(stage.image.archive, stage.image.name)
    assert good.record.name in laptop.type(LOOK)
    assert "3 volumes filled" in laptop.type(RESTORE)
    other = beside(stage, empty, tmp_path)
    shop.wait_ready(other)
    say(f"an empty cluster to a shop that serves: {time.monotonic() - begun:.0f} s")
    assert "shop" in shop.page(other)
    assert shop.listing(other) == files

    copied = good.record.copied.strftime("%Y-%m-%dT%H:%M:%SZ")
    for at in (copied, copied[:10], good.record.name, good.commit[:10]):
        assert laptop.planned(at) == good.record.name, at

    other.install()
    there = "the new controller has seen the policy"
    stage.wait(there, lambda: other.exists("cronjob", "backstay-shop"))
    try:
        laptop.type(ADOPT)
        following = Run(stage)
        assert following.record.outcome is Outcome.COMPLETED
        assert following.history()[1] == good.commit
        assert following.record.cluster.uid != good.record.cluster.uid
    finally:
        stage.backstay("adopt", "--yes")


def beside(stage: Stage, cluster: providers.Cluster, folder: Path) -> Stage:
    """The same servers and keys, an installation on another cluster."""
    other = copy.copy(stage)
    other.cluster = cluster
    other.folder = folder
    other.config = folder / "backstay.yaml"
    return other
