"""Something that `backstay doctor` asks is away, gone, or may not be asked: never is that an ok."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.config import Credentials
from reconciler.model.doctor import Level
from reconciler.model.errors import Refused, Transient
from tests.fakes.faults import FaultyReader
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.run_world import HOME, RUN_IDS
from tests.unit.engine.test_doctor_findings import PROBLEM, Break, lock, only


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation that nothing is wrong with."""
    return DoctorWorld()


def orphan(world: DoctorWorld) -> None:
    """A run stored something and died."""
    url = next(url for url in world.storage.repositories if url.endswith("/shop"))
    stored = world.storage.repositories[url]
    lost = replace(
        stored.snapshots[0], id="f" * 64, tags=("policy:shop", f"run:{RUN_IDS[4]}"), added=512
    )
    stored.snapshots.append(lost)


def lost_marker(world: DoctorWorld) -> None:
    """Somebody deleted the cluster's own branch."""
    del world.remote.heads[HOME]


def test_a_policy_repository_that_is_away(world: DoctorWorld) -> None:
    world.source.failures = [Transient("cannot fetch: refused", hint="is it up?")] * 3
    made = {one.id: one for one in world.doctor().findings}
    assert (made["git/policies"].level, made["git/policies"].hint) == (PROBLEM, "is it up?")
    for name in ("policies/applied", "policies/selection", "policies/last-run"):
        assert made[name].level is Level.UNKNOWN
        assert made[name].hint == "see git/policies"
    # The branch names the repositories too.
    assert made["repositories/open"].level is Level.OK


def test_a_manifest_repository_that_is_away(world: DoctorWorld) -> None:
    world.store_error = Transient("cannot list: refused", hint="is it up?")
    made = {one.id: one for one in world.doctor().findings}
    assert made["git/manifests"].level is PROBLEM
    for name in ("git/push", "git/cluster", "git/branches", "repositories/snapshots"):
        assert made[name].level is Level.UNKNOWN, name
    assert made["policies/last-run"].level is Level.UNKNOWN
    assert made["leftovers/snapshots"].level is Level.UNKNOWN
    assert made["repositories/open"].level is Level.OK


def test_a_folder_that_is_gone(world: DoctorWorld) -> None:
    world.source.push({}, path_found=False)
    found = {one.id: one for one in world.wrong()}
    assert "the folder policies is not in" in found["git/policies"].message
    assert "no good policy" in found["policies/valid"].message
    assert "nothing is deleted" in found["policies/applied"].message


def test_a_marker_that_is_gone(world: DoctorWorld) -> None:
    lost_marker(world)
    found = {one.id: one for one in world.wrong()}
    assert "has no marker, and 1 branches are there" in found["git/cluster"].message


def test_before_the_first_run_nothing_is_missing(world: DoctorWorld) -> None:
    world.remote.heads.clear()
    world.storage.repositories.clear()
    assert world.wrong() == []
    made = {one.id: one for one in world.doctor().findings}
    assert made["git/cluster"].message == "the first run writes it"
    assert made["repositories/open"].message == "not there yet: the first run makes it"
    assert made["policies/last-run"].level is Level.INFO


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (lambda w: w.storage.repositories.clear(), "(exit code 10 of a run)", "is gone"),
        (
            lambda w: w.keyring.masters.update({"restic-main": "x" * 32}),
            "(exit code 12 of a run)",
            "wrong password",
        ),
        (
            lambda w: setattr(w.storage, "failure", Transient("connection refused", hint="up?")),
            "(exit code 1 of a run)",
            "connection refused",
        ),
    ],
)
def test_a_repository_that_does_not_open_is_told_by_its_reason(
    world: DoctorWorld, damage: Break, code: str, message: str
) -> None:
    damage(world)
    found = world.wrong()
    opened = [one for one in found if one.id == "repositories/open"]
    assert len(opened) == 2
    assert all(code in one.message and message in one.message for one in opened)
    assert all(one.level is PROBLEM for one in opened)
    follow = {one.id: one.level for one in found if one.id != "repositories/open"}
    assert follow == dict.fromkeys(
        (
            *("repositories/snapshots", "leftovers/restic-lock", "leftovers/bundles"),
            "leftovers/snapshots",
        ),
        Level.UNKNOWN,
    )


def test_another_repository_in_its_place(world: DoctorWorld) -> None:
    world.repository("shop").id = "d" * 64
    found = {one.id: one for one in world.wrong()}
    assert "is another one than" in found["repositories/open"].message


def test_a_secret_that_is_gone_is_told_once(world: DoctorWorld) -> None:
    world.keyring.masters.clear()
    world.keyring.masters["other"] = "x" * 32
    found = world.wrong()
    assert [one.id for one in found].count("repositories/secret") == 1
    assert all(one.level is Level.UNKNOWN for one in found if one.id == "repositories/open")


def test_who_may_not_read_a_secret_learns_nothing_of_it(world: DoctorWorld) -> None:
    world.keyring.masters.clear()
    world.keyring.masters["other"] = "x" * 32
    world.cluster.denied.add(("", "get", "secrets"))
    found = [one for one in world.wrong() if one.id == "repositories/secret"]
    assert [one.level for one in found] == [Level.UNKNOWN]
    assert found[0].message == "you may not read Secret backstay-system/restic-main"
    keys = Credentials(secret_ref="git")
    store = replace(world.config.manifest_store, credentials=keys)
    world.config = replace(world.config, manifest_store=store)
    world.store_error = Refused("get secret: not allowed", hint="grant it")
    made = {one.id: one for one in world.wrong()}
    assert made["git/manifests"].level is Level.UNKNOWN
    world.cluster.denied.clear()
    made = {one.id: one for one in world.wrong()}
    assert (made["git/manifests"].level, made["git/manifests"].hint) == (PROBLEM, "grant it")


def test_a_snapshot_that_a_record_names_and_nobody_has(world: DoctorWorld) -> None:
    world.repository("shop").snapshots.clear()
    found = only(world)
    assert (found.id, found.level) == ("repositories/snapshots", PROBLEM)
    assert "of claim shop/files" in found.message
    assert found.where == f"run {RUN_IDS[0]}"


def test_snapshots_without_a_record_are_worth_knowing(world: DoctorWorld) -> None:
    orphan(world)
    assert world.wrong() == []
    made = {one.id: one for one in world.doctor().findings}
    assert made["leftovers/snapshots"].level is Level.INFO
    assert "1 snapshot that added 512 bytes" in made["leftovers/snapshots"].message
    assert RUN_IDS[4] in made["leftovers/snapshots"].message


def test_a_young_lock_is_said_and_is_no_leftover(world: DoctorWorld) -> None:
    lock(world, 3, exclusive=True)
    assert world.wrong() == []
    opened = [one for one in world.doctor().findings if one.id == "repositories/open"]
    assert [one.level for one in opened] == [Level.OK, Level.INFO]
    assert "root@old-pod, process 17 holds it exclusively" in opened[1].message


def test_a_list_that_breaks_off_is_unknown_and_never_none(world: DoctorWorld) -> None:
    class Probed(FaultyReader):
        may, whoami, server_time = (
            world.cluster.may,
            world.cluster.whoami,
            world.cluster.server_time,
        )
        host = world.cluster.host

    faulty = Probed(world.cluster, lambda resource, _: resource.kind == "Secret")
    found = {one.id: one.level for one in world.wrong(cluster=lambda: faulty)}
    assert found["leftovers/mover"] is Level.UNKNOWN
    assert found["leftovers/credentials"] is Level.UNKNOWN
    assert "policies/last-run" not in found


def test_a_pod_that_may_not_read_logs(world: DoctorWorld) -> None:
    class Deaf(FaultyReader):
        may, whoami, server_time = (
            world.cluster.may,
            world.cluster.whoami,
            world.cluster.server_time,
        )
        host = world.cluster.host

        def logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 50) -> str:
            del container, tail
            raise Refused(f"get pods/log of {namespace}/{pod}: not allowed")

    reader = Deaf(world.cluster, lambda *_: False)
    (found,) = world.wrong(cluster=lambda: reader)
    assert (found.id, found.level) == ("installation/cycle", Level.UNKNOWN)
    assert "policies/applied" in found.hint
    # From a run's own pod that is no news: there nobody reads logs.
    world.cluster.user = "system:serviceaccount:backstay-system:backstay-run"
    assert world.wrong(cluster=lambda: reader) == []
