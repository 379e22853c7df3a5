"""`manifests.secrets: Sops`: encrypted in Git, only when something changed, and back again."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import canonical, emitter, fingerprints, sealedsecrets, sops
from reconciler.engine.drift import Drift, find_drift
from reconciler.engine.reading import ENCRYPTED_ANEW, PointFinder, Wanted, changed_objects
from reconciler.engine.restoresource import fingerprint_key
from reconciler.engine.versions import object_versions, version_changes
from reconciler.model.errors import Bug, PartialFailure, Refused
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.model.run import Outcome, SecretsRecord
from reconciler.plan.diff import Kind
from reconciler.plan.pointnames import PointName
from reconciler.report.history import render_run
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, MARKER, RunWorld, manifest

ALICE, BOB = "age1alice", "age1bob"
SECRET, OTHER = "shop/secret/db.yaml", "shop/secret/tls.yaml"


def seal_for(world: RunWorld, *recipients: str) -> None:
    """The policy wants its Secrets encrypted for these."""
    manifests = Manifests(SecretsMode.SOPS, recipients=recipients)
    world.policy = replace(world.policy, manifests=manifests)


@pytest.fixture
def world() -> RunWorld:
    """Two Secrets and one without values, encrypted for Alice; her key is at hand."""
    world = RunWorld()
    world.cluster.put(manifest("Secret", "tls", data={"tls.key": "bm90IGEga2V5"}))
    world.cluster.put(manifest("Secret", "bare"))
    world.sealer.keys.add(ALICE)
    seal_for(world, ALICE)
    return world


def password(world: RunWorld, text: str) -> None:
    data = {"password": base64.b64encode(text.encode()).decode()}
    world.cluster.put(manifest("Secret", "db", data=data))


def read(world: RunWorld, path: str = SECRET) -> dict[str, Any]:
    return canonical.read_manifest(world.tree()[path])


def push(world: RunWorld, path: str, text: bytes) -> None:
    """Somebody who may push, and is no run."""
    newest = world.commits()[0]
    files = {**newest.files, path: text}
    world.remote.commits[newest.sha] = replace(newest, files=files)


def test_values_are_in_git_encrypted_and_restic_has_none(world: RunWorld) -> None:
    world.run()
    found = read(world)
    assert found["sops"]["age"][0]["recipient"] == ALICE
    assert found["data"]["password"].startswith("ENC[AES256_GCM,")
    assert found["metadata"]["annotations"]["note"].startswith("ENC[AES256_GCM,")
    assert "sops" not in read(world, "shop/secret/bare.yaml")
    assert world.repository("_cluster").snapshots == []
    assert not [text for text in world.tree().values() if MARKER.encode() in text]
    made = world.record()
    assert made.outcome is Outcome.COMPLETED
    held = made.secrets
    assert held is not None
    assert held.repository is not None
    assert held == SecretsRecord(
        mode="Sops", repository=held.repository, sealed=2, recipients=(ALICE,)
    )
    assert f"Secrets  2 in Git, encrypted for {ALICE}" in render_run(made, "c" * 40)


def test_a_run_without_a_change_keeps_every_byte(world: RunWorld) -> None:
    world.run(1)
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}
    held = world.record().secrets
    assert held is not None
    assert (held.sealed, held.recipients) == (2, (ALICE,))


def test_only_what_changed_is_encrypted_again(world: RunWorld) -> None:
    world.run(1)
    password(world, "another one")
    world.run(2)
    assert world.changed_paths() == {"_run.yaml", SECRET}
    world.cluster.remove(manifest("Secret", "tls"))
    world.run(3)
    assert world.changed_paths() == {"_run.yaml", OTHER}
    assert OTHER not in world.tree()


def test_other_recipients_encrypt_again_and_no_comparison_calls_it_a_change(
    world: RunWorld,
) -> None:
    world.run(1)
    seal_for(world, ALICE, BOB)
    world.run(2)
    assert world.changed_paths() == {"_run.yaml", SECRET, OTHER}
    store = FakeManifestStore(world.remote)
    new, old = (commit.sha for commit in store.log(BRANCH))
    assert list(changed_objects(store, old, new, Wanted())) == []
    versions = list(object_versions(store, BRANCH, SECRET))
    newest, first = version_changes(store, SECRET, versions)
    assert (newest[1].note, newest[1].fields) == (ENCRYPTED_ANEW, ())
    assert first[1].kind is Kind.ADDED
    world.run(3)
    assert world.changed_paths() == {"_run.yaml"}


def test_a_comparison_names_the_key_that_changed_and_hides_its_value(world: RunWorld) -> None:
    world.run(1)
    world.cluster.put(manifest("Secret", "tls", data={"tls.key": "bm90IGEga2V5", "new": "eA=="}))
    world.run(2)
    store = FakeManifestStore(world.remote)
    new, old = (commit.sha for commit in store.log(BRANCH))
    (change,) = changed_objects(store, old, new, Wanted())
    assert change.path == OTHER
    assert [field.field for field in change.fields] == ["data.new"]
    assert all(field.hidden for field in change.fields)


def drift(world: RunWorld) -> Drift:
    store = FakeManifestStore(world.remote)
    named = PointFinder(store, CLUSTER).find(PointName("shop", "latest"))
    key = fingerprint_key(world.keyring, named.record)
    return find_drift(store, named, world.cluster, Wanted(), key)


def test_the_cluster_is_compared_without_a_private_key(world: RunWorld) -> None:
    world.run()
    world.sealer.keys.clear()
    assert drift(world) == Drift()
    password(world, "changed since")
    assert [change.path for change in drift(world).changes] == [SECRET]


@pytest.mark.parametrize("what", ["a ciphertext", "the wrapped key", "all of it", "garbage"])
def test_what_somebody_replaced_is_written_again(world: RunWorld, what: str) -> None:
    world.run(1)
    found = read(world)
    if what == "a ciphertext":
        found["data"]["password"] = found["metadata"]["annotations"]["note"]
    elif what == "the wrapped key":
        found["sops"]["age"][0]["enc"] = "lost"
    text = emitter.emit(found)
    if what == "all of it":
        text = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nsops:\n  mac: x\n"
    elif what == "garbage":
        text = b"[" * 5000
    push(world, SECRET, text)
    world.run(2)
    world.lose_shop()
    world.restored()
    secret = next(one for one in world.cluster.all("Secret") if one["metadata"]["name"] == "db")
    assert base64.b64decode(secret["data"]["password"]).decode() == MARKER


def test_a_change_of_mode_and_back(world: RunWorld) -> None:
    world.policy = replace(world.policy, manifests=Manifests())
    world.run(1)
    plain = world.tree()[SECRET]
    seal_for(world, ALICE)
    world.run(2)
    assert sealedsecrets.view_text(world.tree()[SECRET]) == plain
    store = FakeManifestStore(world.remote)
    new, old = (commit.sha for commit in store.log(BRANCH))
    assert list(changed_objects(store, old, new, Wanted())) == []
    world.policy = replace(world.policy, manifests=Manifests())
    world.run(3)
    assert world.tree()[SECRET] == plain
    assert len(world.repository("_cluster").snapshots) == 2


def test_a_gap_keeps_the_file(world: RunWorld) -> None:
    world.run(1)
    before = world.tree()[SECRET]
    reader = FaultyReader(world.cluster, lambda resource, _: resource.kind == "Secret")
    world.run(2, reader=reader)
    assert world.tree()[SECRET] == before
    world.lose_shop()
    world.restored(allow_partial=True)
    assert len(world.cluster.all("Secret")) == 3  # its file has all that it needs


@pytest.mark.parametrize("change", ["Omit", "another master"])
def test_a_kept_file_of_another_mode_or_master_keeps_nothing_else_away(
    world: RunWorld, change: str
) -> None:
    """The record's key proves nothing of it, and that is nobody's forgery."""
    world.run(1)
    if change == "Omit":
        world.policy = replace(world.policy, manifests=Manifests(SecretsMode.OMIT))
    else:
        # And each repository got the password that follows from it.
        world.keyring.masters["restic-main"] = new = "another-horse-battery-staple-9876543210"
        for namespace in ("_cluster", "shop"):
            password = fingerprints.repository_password(new.encode(), CLUSTER, namespace)
            world.repository(namespace).password = password
    reader = FaultyReader(world.cluster, lambda resource, _: resource.kind == "Secret")
    world.run(2, reader=reader)
    assert SECRET in world.tree()
    assert world.record().gaps
    world.lose_shop()
    restore = world.restore(allow_partial=True)
    plan = restore.plan()
    with pytest.raises(PartialFailure, match=f"{SECRET}: its value is not in this") as found:
        restore.execute(plan)
    assert found.value.message.startswith("2 objects could not be created")
    assert [one["metadata"]["name"] for one in world.cluster.all("Secret")] == ["bare"]
    assert world.cluster.all("Deployment")


def test_a_secret_that_sops_would_write_otherwise_is_a_gap(world: RunWorld) -> None:
    world.cluster.put(
        manifest("Secret", "odd", data={"a": "eA=="}, metadata={"labels": {"data": "x"}})
    )
    world.run()
    made = world.record()
    assert made.outcome is Outcome.PARTIALLY_FAILED
    (gap,) = made.gaps
    assert gap.reason.startswith("odd: metadata.labels.data has the name of what is encrypted")
    assert "shop/secret/odd.yaml" not in world.tree()


def test_a_process_without_sealer_writes_nothing(world: RunWorld) -> None:
    result = world.run(sealer=None)
    assert isinstance(result.error, Bug)
    assert [path for path in world.tree() if "/secret/" in path] == []


def test_a_restore_brings_them_back_and_the_next_run_changes_nothing(world: RunWorld) -> None:
    world.run(1)
    before = [one["data"] for one in world.cluster.all("Secret") if "data" in one]
    world.lose_shop()
    assert world.restored().differing == ()
    assert [one["data"] for one in world.cluster.all("Secret") if "data" in one] == before
    for secret in world.cluster.all("Secret"):
        annotations = secret["metadata"].get("annotations") or {}
        assert "backstay.dev/captured-fingerprints" not in annotations
    assert world.restore().plan().empty
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


def test_without_the_private_key_a_restore_changes_nothing_and_says_what_to_do(
    world: RunWorld,
) -> None:
    world.run()
    world.lose_shop()
    world.cluster.writes.clear()
    world.sealer.keys.clear()
    for opener in (world.sealer, None):
        restore = world.restore(opener=opener)
        plan = restore.plan()  # which needs no key
        with pytest.raises(Refused, match="no private key") as found:
            restore.execute(plan)
        assert "SOPS_AGE_KEY_FILE" in found.value.hint
    assert world.deeds() == []


def test_nothing_is_decrypted_where_the_secrets_are_there(world: RunWorld) -> None:
    world.run()
    world.sealer.keys.clear()
    world.cluster.remove(manifest("ConfigMap", "settings"))
    assert world.restored().created == 1


def test_copies_beside_the_originals(world: RunWorld) -> None:
    world.run()
    world.restored(map_namespaces={"shop": "shop-2"})
    data = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one.get("data")
        for one in world.cluster.all("Secret")
    }
    assert data["shop-2", "db"] == data["shop", "db"]
    assert world.restore(map_namespaces={"shop": "shop-2"}).plan().empty


def test_a_value_that_somebody_else_encrypted_for_us_is_not_restored(world: RunWorld) -> None:
    """Anybody can encrypt for a public key; a fingerprint only a run can make."""
    world.run()
    found = read(world)
    found["metadata"]["annotations"].pop("note")
    regex, sealer = "^(data)$", world.sealer
    key = sealer.random(32)
    plain = {
        **{name: value for name, value in found.items() if name != "sops"},
        "data": {"password": "ZXZpbA=="},
    }
    wrapped = [sops.Wrapped(ALICE, sealer.wrap(key, ALICE))]
    sealing = sops.Sealing(key=key, wrapped=wrapped, when="2026", draw=sealer.random)
    forged = sops.sealed(plain, sops.encrypt_values(plain, regex, sealing), regex, sealing)
    push(world, SECRET, emitter.emit(forged))
    world.lose_shop()
    world.cluster.writes.clear()
    restore = world.restore()
    plan = restore.plan()
    with pytest.raises(Refused, match="decrypted, is not the one whose fingerprint is in Git"):
        restore.execute(plan)
    assert world.deeds() == []
