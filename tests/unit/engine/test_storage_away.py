"""A storage that is away when a run begins: waited for like Git, and asked no more than needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler import ports
from reconciler.engine.run import execute_run
from reconciler.model.errors import (
    BackstayError,
    Interrupted,
    RepositoryLocked,
    RepositoryLost,
    RepositoryMissing,
    Transient,
    WrongPassword,
)
from reconciler.model.run import Outcome
from reconciler.model.volumes import RepositoryAccess, ResticSnapshot
from tests.fakes.keyring import FakeKeyring
from tests.fakes.volumebackend import FakeVolumeBackend
from tests.unit.engine.run_world import CLUSTER, RunWorld, put_shop

AWAY = Transient("connection refused", hint="is the storage up?")


class CountingKeyring(FakeKeyring):
    """Remembers whose repositories were asked for; those of ``broken`` namespaces fail."""

    def __init__(self, world: RunWorld, **broken: BackstayError) -> None:
        super().__init__(world.storage, CLUSTER)
        self.asked: list[str] = []
        self.broken = broken

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """As the port says."""
        self.asked.append(access.namespace)
        if error := self.broken.get(access.namespace):
            return Broken(access, self, error)
        return super().backend(access)


class Broken(FakeVolumeBackend):
    """A repository that answers with an error."""

    def __init__(
        self, access: RepositoryAccess, keyring: CountingKeyring, error: BackstayError
    ) -> None:
        super().__init__(access, keyring._storage)
        self._error = error

    def open(self) -> str:
        raise self._error


def test_a_storage_that_stays_away_ends_the_run_at_its_deadline() -> None:
    world = RunWorld()
    for number in range(5):
        put_shop(world.cluster, f"shop-{number}")
    world.run()
    world.keyring = keyring = CountingKeyring(world)
    world.storage.failure = AWAY
    before = world.clock.now()
    result = world.run(2)
    assert timedelta(minutes=10) <= world.clock.now() - before < timedelta(minutes=12)
    assert set(keyring.asked) == {"_cluster"}, "the others would be away, too"
    assert result.error is AWAY
    assert {part.outcome for part in result.record.namespaces} == {Outcome.FAILED}
    assert len(result.record.namespaces) == 6

    world.storage.failure = None
    keyring.asked.clear()
    assert world.run(3).record.outcome is Outcome.COMPLETED
    assert len(set(keyring.asked)) == 7


def test_a_storage_that_comes_back_is_used() -> None:
    world = RunWorld()
    world.storage.failure = AWAY

    def come_back() -> None:
        if world.clock.slept > 100:
            world.storage.failure = None

    world.clock.on_sleep = come_back
    assert world.run().record.outcome is Outcome.COMPLETED
    told = world.log.of("trying again")
    assert {line["what"] for line in told} == {"opening the repository of _cluster"}
    assert {line["why"] for line in told} == {AWAY.message}


def test_a_run_that_is_to_stop_does_not_wait_for_the_storage() -> None:
    world = RunWorld()
    world.storage.failure = AWAY
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 5)
    assert world.clock.slept < 8


@pytest.mark.parametrize(
    "error",
    [
        RepositoryMissing("no restic repository"),
        RepositoryLost("it is gone"),
        RepositoryLocked("it is locked"),
        WrongPassword("wrong password"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_waiting_cannot_mend_is_said_at_once(error: BackstayError) -> None:
    world = RunWorld()
    world.run()
    slept = world.clock.slept
    world.keyring = CountingKeyring(world, _cluster=error)
    result = world.run(2)
    assert world.clock.slept == slept
    assert result.error is not None
    assert result.error.exit_code == error.exit_code
    assert result.record.outcome is Outcome.FAILED


def test_one_repository_that_is_away_holds_up_the_others_for_a_while_only() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-a")
    put_shop(world.cluster, "shop-z")
    world.run()
    world.keyring = CountingKeyring(world, **{"shop-a": AWAY})
    before = world.clock.now()
    request = replace(world.request(2), deadline=before + timedelta(hours=3))
    record = execute_run(request, world.ports()).record
    assert timedelta(minutes=10) <= world.clock.now() - before < timedelta(minutes=12)
    outcomes = {part.name: part.outcome for part in record.namespaces}
    assert outcomes == {
        "shop": Outcome.COMPLETED,
        "shop-a": Outcome.PARTIALLY_FAILED,
        "shop-z": Outcome.COMPLETED,
    }
    (volume,) = record.namespaces[1].volumes
    assert (volume.outcome, volume.reason) == (Outcome.FAILED, AWAY.message)


class Flaky(FakeVolumeBackend):
    """A repository whose storage goes away once the copies are there, for so many questions."""

    def __init__(self, access: RepositoryAccess, keyring: FlakyKeyring) -> None:
        super().__init__(access, keyring._storage)
        self._keyring = keyring

    def snapshots(self, *, tags: Sequence[str] = (), host: str = "") -> tuple[ResticSnapshot, ...]:
        """As the port says, in the end."""
        place = self._access.namespace
        if self._keyring.failures.get(place, 0) > 0:
            self._keyring.failures[place] -= 1
            raise AWAY
        return super().snapshots(tags=tags, host=host)


class FlakyKeyring(FakeKeyring):
    """``failures``: by namespace, how often its snapshots can't be listed."""

    def __init__(self, world: RunWorld, **failures: int) -> None:
        super().__init__(world.storage, CLUSTER)
        self.failures = failures

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """As the port says."""
        return Flaky(access, self)


@pytest.mark.parametrize("place", ["_cluster", "shop"])
def test_a_storage_that_goes_away_behind_the_copies_is_waited_for(place: str) -> None:
    world = RunWorld()
    world.keyring = FlakyKeyring(world, **{place: 4})
    record = world.run().record
    assert record.outcome is Outcome.COMPLETED
    what = "storing the Secrets" if place == "_cluster" else "proving the snapshots of shop"
    # Whether earlier runs wait as bundles is asked once, and by the next run again.
    tries = 3 if place == "_cluster" else 4
    assert [line["what"] for line in world.log.of("trying again")] == [what] * tries
    assert len(world.log.of("bundles not delivered")) == 4 - tries
    assert record.warnings == ()
    assert len(world.repository("_cluster").snapshots) == 1


def test_a_storage_that_stays_away_behind_the_copies_is_asked_no_more_than_needed() -> None:
    world = RunWorld()
    spaces = ["shop", *(f"shop-{number}" for number in range(5))]
    for name in spaces[1:]:
        put_shop(world.cluster, name)
    world.keyring = keyring = FlakyKeyring(world, **dict.fromkeys(spaces, 10**6))
    before = world.clock.now()
    record = world.run().record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert timedelta(minutes=9) < world.clock.now() - before < timedelta(minutes=12)
    asked = {name for name, left in keyring.failures.items() if left < 10**6}
    assert asked == {"shop", "shop-0"}, "the others would be away, too"
    reasons = [volume.reason for part in record.namespaces for volume in part.volumes]
    assert len([why for why in reasons if "is not proven: connection refused" in why]) == 6


def test_a_run_that_is_to_stop_does_not_wait_for_proof() -> None:
    world = RunWorld()
    world.keyring = FlakyKeyring(world, shop=10**6)
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 20)
    assert world.clock.slept < 25


def test_keys_that_cannot_be_read_for_a_moment_are_read_again() -> None:
    class Away(FakeKeyring):
        left = 2

        def fingerprint_key(self, *, secret: str, url: str) -> bytes:
            if self.left:
                self.left -= 1
                raise Transient("get Secret: HTTP 503")
            return super().fingerprint_key(secret=secret, url=url)

    world = RunWorld()
    world.keyring = Away(world.storage, CLUSTER)
    assert world.run().record.outcome is Outcome.COMPLETED


def test_i4_secrets_that_the_storage_loses_fail_the_run_at_once() -> None:
    """Storing them again and again would lose them again and again."""

    class Losing(FakeKeyring):
        def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
            return Lossy(access, self._storage)

    class Lossy(FakeVolumeBackend):
        def backup_stream(self, *given: Any, **more: Any) -> ResticSnapshot:
            made = super().backup_stream(*given, **more)
            self._opened().snapshots.remove(made)
            return made

    world = RunWorld()
    world.run()
    slept = world.clock.slept
    world.keyring = Losing(world.storage, CLUSTER)
    result = world.run(2)
    assert result.record.outcome is Outcome.FAILED
    assert "does not list it" in str(result.record.namespaces[0].reasons)
    assert world.clock.slept - slept < 60
