"""The keys of the controller's source: gone, wrong and there again, without a restart."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.cli.installation import Installation
from reconciler.engine.controller import Cycle
from reconciler.model.errors import Refused
from tests.unit.engine.controller_world import NAMESPACE, files
from tests.unit.engine.mirror_world import MirrorWorld

CONFIG = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {name: prod-eu}
policySource:
  url: ssh://git@git.example.org/p.git
  path: policies
  secretRef: {name: backstay-policy-git}
manifestStore:
  url: ssh://git@git.example.org/captures.git
image: backstay:1
sharedKeyInTenants: true
"""
SECRET = f"Secret {NAMESPACE}/backstay-policy-git"


@pytest.fixture
def world() -> MirrorWorld:
    """Return a cluster in which the policy `shop` is in force."""
    world = MirrorWorld()
    world.source.push(files("shop"))
    world.cycle()
    return world


@pytest.fixture
def home(
    world: MirrorWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """Return an installation on it, whose policies lie behind SSH."""
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    config = tmp_path / "backstay.yaml"
    config.write_text(CONFIG)
    with Installation(config, None, None) as found:
        found.connect = lambda: cast("KubeClient", world.cluster)
        yield found


def put_secret(world: MirrorWorld, data: Mapping[str, bytes]) -> None:
    """As somebody with kubectl does it."""
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "backstay-policy-git", "namespace": NAMESPACE},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
    )


def cycle(world: MirrorWorld, home: Installation) -> Cycle:
    """A cycle of the controller of that installation."""
    world.clock.sleep(60)
    return world.cycle(source=home.setting(reporter=world.log).source)


def test_a_secret_that_is_gone_or_cant_be_right_is_a_source_that_fails(
    world: MirrorWorld, home: Installation
) -> None:
    since = ""
    for data, says in (
        (None, f"{SECRET} does not exist"),
        ({}, f"{SECRET} has no identity and no known_hosts"),
        ({"identity": b"x"}, f"{SECRET} has identity and no known_hosts"),
        ({"identity": b"x", "known_hosts": b"x"}, f"identity of {SECRET} is no private SSH key"),
        ({"password": b"x"}, f"{SECRET} has a password and no username"),
    ):
        if data is not None:
            put_secret(world, data)
        ended = cycle(world, home)
        assert isinstance(ended.error, Refused)
        assert ended.failed_step == "fetch"
        assert says in ended.error.message
        assert ended.error.hint
        assert world.conditions() == {
            "Ready": ("True", "Applied"),
            "Stalled": ("True", "SourceFailed"),
        }
        assert says in world.message("Stalled")
        assert ended.error.hint in world.message("Stalled")
        (stalled,) = [c for c in world.status()["conditions"] if c["type"] == "Stalled"]
        since = since or stalled["lastTransitionTime"]
        assert stalled["lastTransitionTime"] == since
        assert world.cron_job("shop")
    failed = world.log.of("cycle failed")
    assert {line["since"] for line in failed} == {since}
    world.cycle()
    assert world.log.of("cycles end well again") == [{"failed_since": since}]
    assert world.conditions() == {"Ready": ("True", "Applied")}
