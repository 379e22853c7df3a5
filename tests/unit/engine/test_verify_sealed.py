"""`verify` of a policy whose Secrets are encrypted into Git: every way in which one may not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture import canonical, emitter
from reconciler.engine.verifysealed import check_sealed
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.plan.verify import Check, Verdict
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, RunWorld

SECRET = "shop/secret/db.yaml"


@pytest.fixture(scope="module")
def sealed() -> RunWorld:
    world = RunWorld()
    manifests = Manifests(SecretsMode.SOPS, recipients=("age1alice",))
    world.policy = replace(world.policy, manifests=manifests)
    world.run()
    return world


def verify(world: RunWorld, text: bytes | None = None) -> list[Check]:
    """With the Secret's file replaced by ``text`` for this once."""
    newest = world.remote.commits[world.remote.heads[BRANCH]]
    files = dict(newest.files)
    if text is not None:
        files[SECRET] = text
    world.remote.commits[newest.sha] = replace(newest, files=files)
    try:
        return list(check_sealed(FakeManifestStore(world.remote), CLUSTER, "shop"))
    finally:
        world.remote.commits[newest.sha] = newest


def test_what_a_run_wrote_is_good(sealed: RunWorld) -> None:
    (check,) = verify(sealed)
    assert check.verdict is Verdict.PROVEN
    assert check.message == "each of 1 in the newest tree is encrypted as its record says"


def test_what_is_wrong_is_named(sealed: RunWorld) -> None:
    text = sealed.tree()[SECRET]
    plain, other, bare, no_mac, odd_mac, empty_mac = (
        canonical.read_manifest(text) for _ in range(6)
    )
    plain["data"]["password"] = "UzNjcmV0"
    other["sops"]["age"][0]["recipient"] = "age1eve"
    del bare["sops"]
    del no_mac["sops"]["mac"]
    odd_mac["sops"]["mac"] = "0123ABCD"
    empty_mac["sops"]["mac"] = ""
    for changed, fault in (
        (emitter.emit(plain), "a value is not encrypted"),
        (emitter.emit(other), "its recipients are not those of the record"),
        (emitter.emit(bare), "a value is not encrypted"),
        *((emitter.emit(one), "it has no encrypted mac") for one in (no_mac, odd_mac, empty_mac)),
        (b"[", f"{SECRET}:1: no YAML that can be read"),
    ):
        (check,) = verify(sealed, changed)
        assert check.verdict is Verdict.PROBLEM
        assert check.problems[0].startswith(f"{SECRET}: {fault[:20]}"), check.problems


def test_other_modes_are_not_asked() -> None:
    world = RunWorld()
    assert verify_none(world) == []
    world.run()
    assert verify(world) == []


def verify_none(world: RunWorld) -> list[Check]:
    return list(check_sealed(FakeManifestStore(world.remote), CLUSTER, "shop"))
