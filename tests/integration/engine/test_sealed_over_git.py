"""Secrets encrypted by real runs into a real repository: `sops` opens them, and a restore does."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.agekeys import AgeOpener, AgeSealer
from reconciler.capture import canonical
from reconciler.cli.main import run as backstay
from reconciler.model.errors import Refused
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.model.run import Outcome
from tests.integration.engine.git_world import GitWorld
from tests.integration.test_sops_files import run_sops
from tests.unit.engine.run_world import BRANCH, MARKER

FILE = "shop/secret/db.yaml"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitWorld]:
    made = GitWorld(tmp_path)
    yield made
    for store in made.opened:
        store.close()


def test_i3_from_the_cluster_to_sops_and_back(
    world: GitWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = pyrage.x25519.Identity.generate()
    manifests = Manifests(SecretsMode.SOPS, recipients=(str(identity.to_public()),))
    world.policy = replace(world.policy, manifests=manifests)
    first = world.run(sealer=AgeSealer())
    assert first.record.outcome is Outcome.COMPLETED
    second = world.run(2, sealer=AgeSealer())
    assert world.git("diff", "--name-only", first.commit, second.commit).split() == ["_run.yaml"]
    objects = world.git("cat-file", "--batch-all-objects", "--batch")
    for form in (MARKER, base64.b64encode(MARKER.encode()).decode()):
        assert form not in objects

    (tmp_path / "db.yaml").write_text(world.git("show", f"{BRANCH}:{FILE}"))
    done = run_sops(tmp_path, "decrypt", "db.yaml", key=identity)
    assert (done.returncode, done.stderr) == (0, "")
    opened = canonical.read_manifest(done.stdout.encode())
    assert base64.b64decode(opened["data"]["password"]).decode() == MARKER

    assert backstay(["verify", "shop", "--no-repositories", "--clone", str(world.clone())]) == 0
    assert "is encrypted as its record says" in capsys.readouterr().out

    world.lose_shop()
    with pytest.raises(Refused, match="no private key of age"):
        world.restored(opener=AgeOpener({"HOME": str(tmp_path)}))
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{identity}\n")
    world.restored(opener=AgeOpener({"HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": str(keys)}))
    (secret,) = world.cluster.all("Secret")
    assert base64.b64decode(secret["data"]["password"]).decode() == MARKER
    assert world.restore().plan().empty
