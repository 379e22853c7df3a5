"""Each brake saves the day in a whole cycle, and a commit's word lifts it for one plan only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reconciler.engine.applying import STATE
from reconciler.model.errors import Interrupted
from reconciler.plan.approval import deletions_digest
from tests.fakes.cluster import FakeCluster
from tests.unit.engine.controller_world import BROKEN, NAMESPACE, ControllerWorld, files

NAMES = tuple(f"p{number}" for number in range(10))
ALL = [f"backstay-{name}" for name in NAMES]


@pytest.fixture
def world() -> ControllerWorld:
    """Ten policies in force."""
    made = ControllerWorld()
    made.source.push(files(*NAMES))
    assert made.cycle().error is None
    assert made.names("CronJob") == ALL
    return made


def asked(world: ControllerWorld) -> str:
    """A cycle that deletes nothing and says what would approve it."""
    plan = world.cycle().plan
    assert plan is not None
    assert world.names("CronJob") == ALL
    assert plan.brakes
    (said,) = world.log.of("these deletions wait for approval")[-1:] or [{"line": ""}]
    assert said["line"] == (f"Backstay-Approve: {plan.approval}" if plan.approval else "")
    return plan.approval


def state(world: ControllerWorld) -> dict[str, str]:
    found = world.cluster.all("ConfigMap")
    data: dict[str, str] = next(r["data"] for r in found if r["metadata"]["name"] == STATE)
    return data


def digest_of(world: ControllerWorld, names: Sequence[str], cluster: str = "prod-eu") -> str:
    """What approves that these go, as everything is now."""
    found = {raw["metadata"]["name"]: raw for raw in world.cluster.all("CronJob")}
    gone = {name: found[f"backstay-{name}"]["metadata"]["uid"] for name in names}
    return deletions_digest(cluster, gone, state(world)["revision"])


def approve(digest: str) -> str:
    return f"Remove what is not needed\n\nIt was agreed on.\n\nBackstay-Approve: {digest}\n"


def test_an_empty_folder(world: ControllerWorld) -> None:
    world.source.push({"policies/README.md": b""})
    digest = asked(world)
    assert digest == digest_of(world, NAMES)
    world.source.push({"policies/README.md": b""}, message=approve(digest))
    world.cycle()
    assert world.names("CronJob") == []


def test_a_renamed_path_is_approved_by_nobody(world: ControllerWorld) -> None:
    world.source.push({}, path_found=False)
    assert asked(world) == ""
    world.source.push({}, path_found=False, message=approve(digest_of(world, NAMES)))
    assert asked(world) == ""
    world.source.push(files(*NAMES))  # it was a mistake
    assert world.cycle().plan.empty  # type: ignore[union-attr]


def test_another_branch_that_has_nothing_to_do_with_it(world: ControllerWorld) -> None:
    world.source.push(files("other"), rewrite=True)
    world.cycle()
    assert set(world.names("CronJob")) == {*ALL, "backstay-other"}


def test_a_rewritten_history_waits_for_a_word_for_as_long_as_it_takes(
    world: ControllerWorld,
) -> None:
    world.source.push(files(*NAMES[1:]), rewrite=True)
    digest = asked(world)
    assert asked(world) == digest
    world.source.push(files(*NAMES[1:]), message=approve(digest))
    world.cycle()
    assert world.names("CronJob") == ALL[1:]


def test_a_folder_has_no_place_for_a_word_and_is_asked_for_none(world: ControllerWorld) -> None:
    world.source.push(files(*NAMES[:7]), message=None)
    assert asked(world) == ""
    (hint,) = {str(one["hint"]).partition(":")[0] for one in world.log.of("skipped")}
    assert hint == "no commit can approve that"


def test_half_of_the_files_broken_is_approved_by_nobody(world: ControllerWorld) -> None:
    ill = {
        name: BROKEN.replace(b"{name: shop}", b"{name: %s}" % name.encode()) for name in NAMES[:5]
    }
    named = {f"policies/{name}.yaml": data for name, data in ill.items()}
    left = files(*NAMES[5:9]) | named
    world.source.push(left)
    assert asked(world) == ""
    gone = digest_of(world, ["p9"])
    world.source.push(left, message=approve(gone))
    assert asked(world) == ""


def test_a_mass_delete(world: ControllerWorld) -> None:
    world.source.push(files(*NAMES[:7]))
    digest = asked(world)
    world.source.push(files(*NAMES[:7]), message=approve(digest))
    world.cycle()
    assert world.names("CronJob") == ALL[:7]
    assert "approving" not in state(world)


@pytest.mark.parametrize(
    "message",
    [
        lambda _: "Backstay-Approve: yes\n",
        lambda _: "Backstay-Approve: *\n",
        lambda _: f"Backstay-Approve: {'0' * 32}\n",
        lambda world: f"> Backstay-Approve: {digest_of(world, NAMES[7:])}\n",
        lambda world: f"Backstay-Approve: {digest_of(world, NAMES[7:], 'prod-us')}\n",
        lambda world: f"Backstay-Approve: {digest_of(world, NAMES[6:])}\n",
        lambda world: f"Backstay-Approve: {digest_of(world, NAMES[8:])}\n",
        lambda world: f"Backstay-Approve: {digest_of(world, NAMES[7:])[:16]}\n",
    ],
)
def test_a_word_for_another_plan_is_none_for_this(
    world: ControllerWorld, message: Callable[[ControllerWorld], str]
) -> None:
    world.source.push(files(*NAMES[:7]), message=message(world))
    assert asked(world) == digest_of(world, NAMES[7:])


def test_a_word_is_for_its_own_revision(world: ControllerWorld) -> None:
    digest = digest_of(world, NAMES[7:])
    world.source.push(files(*NAMES[:7]), message=approve(digest))
    world.source.push(files(*NAMES[:7]), message="Change something else\n")
    assert asked(world) == digest


def test_a_word_that_was_followed_is_never_one_again(world: ControllerWorld) -> None:
    first = asked_for(world, NAMES[:7])
    world.source.push(files(*NAMES[:7]), message=approve(first))
    world.cycle()
    assert world.names("CronJob") == ALL[:7]
    world.source.push(files(*NAMES))
    world.cycle()
    assert world.names("CronJob") == ALL
    # The branch is moved back to the commit that approved.
    world.source.push(files(*NAMES[:7]), message=approve(first), rewrite=True)
    again = asked(world)
    assert again != first
    # The same by way of the commit before it, from which it descends.
    world.source.push(files(*NAMES), rewrite=True)
    world.cycle()
    world.source.push(files(*NAMES[:7]), message=approve(first))
    assert asked(world) != first


def test_the_digest_is_of_these_very_schedules_after_this_very_revision() -> None:
    one = deletions_digest("prod-eu", {"a": "1", "b": "2"}, "r1")
    assert deletions_digest("prod-eu", {"b": "2", "a": "1"}, "r1") == one
    others = [
        deletions_digest("prod-us", {"a": "1", "b": "2"}, "r1"),
        deletions_digest("prod-eu", {"a": "1", "b": "3"}, "r1"),
        deletions_digest("prod-eu", {"a": "1", "b": "2"}, "r2"),
        deletions_digest("prod-eu", {"a": "1"}, "r1"),
    ]
    assert len({one, *others}) == 5


def asked_for(world: ControllerWorld, names: Sequence[str]) -> str:
    world.source.push(files(*names))
    return asked(world)


def test_one_word_of_several_is_enough_for_a_fleet(world: ControllerWorld) -> None:
    lines = [digest_of(world, NAMES[7:], cluster) for cluster in ("prod-us", "prod-eu")]
    text = "Remove three\n\n" + "".join(f"Backstay-Approve: {one}\r\n" for one in lines)
    world.source.push(files(*NAMES[:7]), message=text)
    world.cycle()
    assert world.names("CronJob") == ALL[:7]


def test_i11_a_cycle_that_was_cut_short_goes_on_with_what_was_approved(
    world: ControllerWorld,
) -> None:
    digest = digest_of(world, NAMES[3:])
    world.source.push(files(*NAMES[:3]), message=approve(digest))

    def stopped() -> bool:
        return len(world.names("CronJob")) < 8

    assert isinstance(world.cycle(stopped=stopped).error, Interrupted)
    assert len(world.names("CronJob")) == 7
    assert state(world)["approved"].split() == list(NAMES[3:])
    world.cycle()
    assert world.names("CronJob") == ALL[:3]
    assert "approved" not in state(world)


def test_what_was_cut_short_is_not_approved_for_the_next_revision(world: ControllerWorld) -> None:
    digest = digest_of(world, NAMES[3:])
    world.source.push(files(*NAMES[:3]), message=approve(digest))
    world.cycle(stopped=lambda: len(world.names("CronJob")) < 8)
    world.source.push(files(*NAMES[:3]))
    plan = world.cycle().plan
    assert plan is not None
    assert plan.approval == digest_of(world, NAMES[6:])
    assert len(world.names("CronJob")) == 7


def test_the_state_is_only_believed_where_it_is_ours_to_read(world: ControllerWorld) -> None:
    cluster: FakeCluster = world.cluster
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": STATE, "namespace": NAMESPACE},
            "data": {"revision": "nonsense", "approved": "p9", "approving": "x"},
        }
    )
    world.source.push(files(*NAMES[:9]))
    (gone,) = (r for r in cluster.all("CronJob") if r["metadata"]["name"] == "backstay-p9")
    uid = gone["metadata"]["uid"]
    assert asked(world) == deletions_digest("prod-eu", {"p9": uid}, "")
