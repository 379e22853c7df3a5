"""Values go back to the cluster, whose answer may quote them: nobody else hears that answer."""

from __future__ import annotations

import traceback
from typing import Any

import orjson
import pytest

from reconciler.adapters.kubeerrors import Answer, Call, explain
from reconciler.model.errors import BackstayError, PartialFailure, Refused, Transient
from tests.fakes.mover import FakeMover
from tests.unit.engine.run_world import RunWorld, manifest
from tests.unit.engine.test_redacted import leaking_world, leaks

CLAIM = {"metadata": {"annotations": {"example.org/api-token": "of-the-Cl4im"}}}


class Quoting:
    """Refuses one kind as an API server does, quoting all that it was given."""

    def __init__(self, world: RunWorld, kind: str, *, status: int = 422, after: int = 0) -> None:
        self._inner = world.cluster
        self._kind = kind
        self._status = status
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def apply(self, obj: Any) -> Any:
        self._answer("patch", obj)
        return self._inner.apply(obj)

    def create(self, obj: Any) -> Any:
        self._answer("create", obj)
        return self._inner.create(obj)

    def _answer(self, verb: str, obj: Any) -> None:
        if obj["kind"] != self._kind:
            return
        self._left -= 1
        if self._left >= 0:
            return
        said = {"kind": "Status", "reason": "Invalid", "message": f"Invalid value: {obj}"}
        metadata = obj["metadata"]
        raise explain(
            Answer(self._status, orjson.dumps(said)),
            Call(verb=verb, kind=obj["kind"], name=metadata["name"]),
        )


def failed(world: RunWorld, writer: Quoting) -> tuple[BackstayError, str]:
    """The error, and all that anybody is shown."""
    restore = world.restore(writer=writer)
    plan = restore.plan()
    with pytest.raises(BackstayError) as found:
        restore.execute(plan)
    error = found.value
    shown = "".join(traceback.format_exception(error))
    return error, shown + error.message + error.hint + repr(world.log.__dict__)


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment"])
def test_one_object_that_is_refused_keeps_its_value_to_itself(kind: str) -> None:
    world = leaking_world()
    values = leaks(world)
    world.run()
    world.lose_shop()
    error, shown = failed(world, Quoting(world, kind))
    assert isinstance(error, PartialFailure)
    assert "the cluster refuses it (HTTP 422; its answer may quote a redacted value)" in shown
    assert "kubectl create --dry-run=server" in shown
    assert not [value for value in values if value in shown]


@pytest.mark.parametrize(("status", "kind"), [(422, Refused), (500, Transient)])
@pytest.mark.parametrize("after", [0, 1])
def test_a_namespace_ends_it_and_its_value_is_not_told(
    status: int, kind: type[BackstayError], after: int
) -> None:
    world = leaking_world()
    values = leaks(world)
    world.run()
    world.lose_shop()
    error, shown = failed(world, Quoting(world, "Namespace", status=status, after=after))
    assert type(error) is kind
    assert f"namespace/shop: the cluster {'refuses' if status == 422 else 'fails at'} it" in shown
    assert not [value for value in values if value in shown]


@pytest.mark.parametrize("after", [0, 1])
def test_a_claim_is_refused_at_first_or_once_it_is_full(after: int) -> None:
    world = leaking_world()
    (claim,) = world.cluster.all("PersistentVolumeClaim")
    world.cluster.put({**claim, "metadata": {**claim["metadata"], **CLAIM["metadata"]}})
    world.run()
    assert "shop/persistentvolumeclaim/files.yaml" in {o.object for o in world.record().redacted}
    world.lose_shop()
    world.mover = FakeMover(effect=world.move)
    error, shown = failed(world, Quoting(world, "PersistentVolumeClaim", after=after))
    assert "of-the-Cl4im" not in shown
    assert "may quote a redacted value" in shown, error


def test_the_answer_about_an_object_without_such_a_value_is_told_whole() -> None:
    world = leaking_world()
    world.cluster.remove(manifest("ConfigMap", "mail"))
    world.run()
    world.lose_shop()
    _, shown = failed(world, Quoting(world, "ConfigMap"))
    assert "Invalid value: " in shown
    assert "may quote" not in shown
