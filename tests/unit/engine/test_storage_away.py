"""A run whose storage is away ends soon, however many namespaces it has."""

from __future__ import annotations

from reconciler import ports
from reconciler.model.errors import Transient
from reconciler.model.run import Outcome
from reconciler.model.volumes import RepositoryAccess
from tests.fakes.keyring import FakeKeyring
from tests.unit.engine.run_world import CLUSTER, RunWorld, put_shop


class CountingKeyring(FakeKeyring):
    """Remembers whose repositories were asked for."""

    def __init__(self, world: RunWorld) -> None:
        super().__init__(world.storage, CLUSTER)
        self.asked: list[str] = []

    def backend(self, access: RepositoryAccess) -> ports.VolumeBackend:
        """As the port says."""
        self.asked.append(access.namespace)
        return super().backend(access)


def test_a_storage_that_is_away_is_asked_once() -> None:
    world = RunWorld()
    for number in range(5):
        put_shop(world.cluster, f"shop-{number}")
    world.run()
    world.keyring = keyring = CountingKeyring(world)
    world.storage.failure = Transient("storage away", hint="look at it")
    result = world.run(2)
    assert keyring.asked == ["_cluster"]
    assert isinstance(result.error, Transient)
    assert {part.outcome for part in result.record.namespaces} == {Outcome.FAILED}
    assert len(result.record.namespaces) == 6

    world.storage.failure = None
    assert world.run(3).record.outcome is Outcome.COMPLETED
    assert len(set(keyring.asked)) == 7
