"""The controller's cycle: what is written, when nothing is, and what a fault leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.applying import LEASE
from reconciler.engine.controller import make_plan
from reconciler.model.errors import Bug, Incomplete, Interrupted, Refused, Transient, Waiting
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.engine.controller_world import (
    BROKEN,
    CONFIG,
    NAMESPACE,
    ControllerWorld,
    files,
    policy_yaml,
)


@pytest.fixture
def world() -> ControllerWorld:
    return ControllerWorld()


def writes(world: ControllerWorld) -> list[tuple[str, str]]:
    found = [(verb, f"{ref.kind}/{ref.name}") for verb, ref in world.cluster.writes]
    world.cluster.writes.clear()
    return found


def test_a_policy_becomes_a_cron_job_within_one_cycle(world: ControllerWorld) -> None:
    revision = world.source.push(files("shop"))
    cycle = world.cycle()
    assert (cycle.error, cycle.exit_code) == (None, 0)
    job = world.cron_job("shop")
    assert job["spec"]["schedule"] == "17 2 * * *"
    assert job["metadata"]["annotations"]["backstay.dev/revision"] == revision
    assert [name for name in world.names("ConfigMap") if name != "backstay-state"] == [
        job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    ]
    assert world.log.of("cycle done") == [{"revision": revision, "created": 2}]


def test_i6_after_a_cycle_the_plan_is_empty(world: ControllerWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    world.source.push(files("shop", mail=policy_yaml("mail", "1 1 * * *")))
    assert world.cycle().exit_code == 0
    again = make_plan(world.setting).plan
    assert again is not None
    assert again.empty
    assert again.remember == ""


def test_i7_a_cycle_without_a_change_writes_nothing(world: ControllerWorld) -> None:
    world.source.push(files("shop", "mail", "wiki"))
    world.cycle()
    writes(world)
    world.cluster.requests.clear()
    world.clock.sleep(60)
    assert world.cycle().exit_code == 0
    assert writes(world) == []
    # What a cycle costs, whatever the number of policies: docs/controller.md says so too.
    assert world.cluster.requests == {"get": 1, "pages": 5}


def test_i7_not_even_while_a_policy_is_broken(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=BROKEN))
    assert world.cycle().exit_code == 4
    writes(world)
    assert world.cycle().exit_code == 4
    assert writes(world) == []


def test_a_commit_that_changes_no_policy_is_remembered_and_no_more(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    writes(world)
    world.source.push(files("shop") | {"policies/README.md": b"# hello"})
    world.cycle()
    assert [what for _, what in writes(world) if "Lease" not in what] == [
        "ConfigMap/backstay-state"
    ]


def test_a_broken_document_is_told_with_its_place_and_keeps_its_schedule(
    world: ControllerWorld,
) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=BROKEN, mail=policy_yaml("mail")))
    assert world.cycle().exit_code == 4
    problems = world.log.of("problem")
    assert any(
        p["where"] == "policies/shop.yaml:5:3" and "scheduel" in str(p["error"]) for p in problems
    ), problems
    assert world.cron_job("shop")["spec"]["schedule"] == "17 2 * * *"
    assert world.cron_job("mail")


def test_i1_an_empty_or_missing_folder_deletes_nothing(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    writes(world)
    world.source.push({"policies/README.md": b""})
    world.cycle()
    world.source.push({}, path_found=False)
    cycle = world.cycle()
    assert cycle.exit_code == 4
    assert "this folder is not in" in str(world.log.of("problem")[-1]["error"])
    assert writes(world) == []
    assert world.names("CronJob") == ["backstay-shop"]


def test_i1_a_rewritten_history_deletes_nothing(world: ControllerWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    world.source.push(files("mail"), rewrite=True)
    world.cycle()
    world.cycle()
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]
    assert "history was rewritten" in str(world.log.of("nothing is deleted")[0]["why"])


def test_a_deleted_policy_loses_its_cron_job_and_its_jobs_go_on(world: ControllerWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "backstay-shop"}
    owner["uid"] = world.cron_job("shop")["metadata"]["uid"]
    world.cluster.put(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j", "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": {},
        }
    )
    world.source.push(files("mail"))
    assert world.cycle().exit_code == 0
    assert world.names("CronJob") == ["backstay-mail"]
    assert world.names("Job") == ["j"]


@pytest.mark.parametrize("kind", ["CronJob", "ConfigMap", "Job"])
def test_an_incomplete_list_changes_nothing(world: ControllerWorld, kind: str) -> None:
    world.source.push(files("shop"))
    world.cycle()
    writes(world)
    world.source.push(files("mail"))
    reader = FaultyReader(world.cluster, lambda resource, _: resource.kind == kind)
    cycle = world.cycle(reader=reader)
    assert isinstance(cycle.error, Incomplete)
    assert (cycle.failed_step, writes(world)) == ("observe", [])
    assert world.log.of("cycle failed")[-1]["step"] == "observe"


@pytest.mark.parametrize(
    "error", [Transient("git is away", hint="wait"), Refused("unknown host key", hint="add it")]
)
def test_a_fault_in_fetch_leaves_the_schedules_and_is_told(
    world: ControllerWorld, error: Transient
) -> None:
    world.source.push(files("shop"))
    world.cycle()
    writes(world)
    world.source.failures.append(error)
    cycle = world.cycle()
    assert cycle.error is error
    assert (cycle.exit_code, writes(world)) == (1, [])
    told = world.log.of("cycle failed")[-1]
    assert (told["error"], told["hint"]) == (error.message, error.hint)


def test_a_bug_is_told_with_its_place_and_without_its_words(world: ControllerWorld) -> None:
    class Broken:
        def fetch(self, last: str | None) -> Any:
            raise KeyError(last or "hunter2")

    cycle = world.cycle(source=Broken())
    assert isinstance(cycle.error, Bug)
    assert cycle.exit_code == 1
    text = str(world.log.of("cycle failed")[-1])
    assert "KeyError" in text
    assert text.count(" fetch") == 1
    assert "hunter2" not in text + repr(world.log.lines)
    assert cycle.error.__cause__ is None, "who prints the error would print its cause"


def test_what_the_server_refuses_is_told_and_the_rest_goes_on(world: ControllerWorld) -> None:
    world.source.push(files("mail", "shop"))
    writer = FaultyWriter(world.cluster, "apply", error=Refused("quota", hint="raise it"), after=1)
    cycle = world.cycle(writer=writer)
    assert cycle.exit_code == 1
    # The ConfigMap of mail was refused, so mail's CronJob is left for later; shop is whole.
    assert world.names("CronJob") == ["backstay-shop"]
    assert "backstay-state" not in world.names("ConfigMap")
    assert world.log.of("refused")[0]["error"] == "quota"
    assert world.cycle().exit_code == 0
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]


@pytest.mark.parametrize("after", [1, 2])
def test_a_renamed_policy_keeps_its_schedule_where_the_new_one_is_refused(
    world: ControllerWorld, after: int
) -> None:
    world.source.push(files("mail", "shop"))
    assert world.cycle().exit_code == 0
    renamed = policy_yaml("new") + b"  renamedFrom: shop\n"
    world.source.push(files("mail", new=renamed))
    # First the new ConfigMap, then the new CronJob.
    writer = FaultyWriter(world.cluster, "apply", error=Refused("quota"), after=after)
    assert world.cycle(writer=writer).exit_code == 1
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]
    assert world.cycle().exit_code == 0
    assert world.names("CronJob") == ["backstay-mail", "backstay-new"]


def test_i11_a_cycle_that_dies_half_way_is_finished_by_the_next(world: ControllerWorld) -> None:
    world.source.push(files("mail", "shop"))
    for after in (1, 2, 3, 4, 5):
        world.cycle(
            writer=FaultyWriter(world.cluster, "apply", error=Transient("gone"), after=after)
        )
    assert world.cycle().exit_code == 0
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]
    assert len(world.names("ConfigMap")) == 3
    again = make_plan(world.setting).plan
    assert again is not None
    assert again.empty


def test_one_controller_writes_at_a_time(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cluster.acquire_lease(NAMESPACE, LEASE, "other/uid", seconds=60)
    writes(world)
    cycle = world.cycle()
    assert isinstance(cycle.error, Waiting)
    assert "other/uid" in cycle.error.message
    assert writes(world) == []
    world.clock.sleep(181)
    assert world.cycle().exit_code == 0
    lease = world.cluster.all("Lease")[0]
    assert "holderIdentity" not in lease["spec"]


def test_the_lease_is_renewed_while_there_is_much_to_write(world: ControllerWorld) -> None:
    class Slow:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def __getattr__(self, name: str) -> Any:
            if name == "apply":
                world.clock.sleep(15)
            self.seen.append(name)
            return getattr(world.cluster, name)

    slow = Slow()
    world.source.push(files(*(f"policy-{number}" for number in range(5))))
    assert world.cycle(writer=slow).exit_code == 0
    assert slow.seen.count("acquire_lease") == 6
    assert slow.seen[-1] == "release_lease"


def test_a_stop_is_heard_between_steps_and_between_changes(world: ControllerWorld) -> None:
    world.source.push(files("mail", "shop"))
    asked = iter([False] * 6 + [False, True] + [True] * 9)
    cycle = world.cycle(stopped=lambda: next(asked))
    assert isinstance(cycle.error, Interrupted)
    assert len(world.names("ConfigMap")) == 1
    assert world.log.take()[-1] == "cycle ended early"
    assert isinstance(world.cycle(stopped=lambda: True).error, Interrupted)
    assert world.cycle().exit_code == 0


def test_a_taken_over_field_is_a_conflict_that_is_told(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    edited = world.cron_job("shop")
    edited["spec"]["schedule"] = "0 0 * * *"
    del edited["metadata"]["uid"], edited["metadata"]["resourceVersion"]
    world.cluster.put(edited, manager="kubectl-edit")
    writes(world)
    cycle = world.cycle()
    assert world.cron_job("shop")["spec"]["schedule"] == "0 0 * * *"
    told = str(world.log.of("skipped") + world.log.of("refused"))
    assert "kubectl-edit" in told
    assert cycle.plan is not None


def test_other_peoples_objects_stay(world: ControllerWorld) -> None:
    theirs = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "backstay-shop", "namespace": NAMESPACE},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {}}},
    }
    world.cluster.put(theirs)
    world.source.push(files("shop"))
    assert world.cycle().exit_code == 0
    assert world.cron_job("shop")["spec"]["schedule"] == "* * * * *"
    world.source.push(files("mail"))
    world.cycle()
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]


def test_old_config_maps_are_collected_after_two_days(world: ControllerWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=policy_yaml("shop", "1 1 * * *")))
    world.cycle()
    assert len(world.names("ConfigMap")) == 3
    world.clock.sleep(48 * 3600)
    cycle = world.cycle()
    assert cycle.plan is not None
    assert cycle.plan.counts()["deleted"] == 1
    assert len(world.names("ConfigMap")) == 2
    assert world.cluster.writes[-2][0] == "delete"


def test_a_state_that_is_no_revision_is_no_memory(world: ControllerWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    state = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "backstay-state", "namespace": NAMESPACE},
    }
    world.cluster.edit(state, lambda raw: raw["data"].update(revision="rubbish"))
    world.source.push(files("mail"))
    cycle = world.cycle()
    assert cycle.last == ""
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]


def test_max_delete_comes_from_config(world: ControllerWorld) -> None:
    names = ("a", "b", "c", "d")
    world.source.push(files(*names))
    world.cycle()
    world.source.push(files("a", "b"))
    assert world.cycle().plan is not None
    assert len(world.names("CronJob")) == 4
    cycle = world.cycle(config=replace(CONFIG, max_delete=50))
    assert [c.object for c in cycle.plan.changes if c.action is Action.DELETED] == [  # type: ignore[union-attr]
        ObjectRef(group="batch", kind="CronJob", namespace=NAMESPACE, name=f"backstay-{name}")
        for name in ("c", "d")
    ]
    assert len(world.names("CronJob")) == 2


def test_a_webhook_that_rewrites_what_is_applied_is_told(world: ControllerWorld) -> None:
    class Rewriting:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.cluster, name)

        def apply(self, obj: Any) -> dict[str, Any]:
            stored = world.cluster.apply(obj)
            if stored["kind"] == "CronJob":
                stored["spec"]["suspend"] = True
            return stored

    world.source.push(files("shop"))
    assert world.cycle(writer=Rewriting()).exit_code == 0
    told = world.log.of("the cluster stored something else")
    assert [line["fields"] for line in told] == [("spec.suspend: true → false",)]


def test_what_another_changed_before_the_lease_is_for_the_next_cycle(
    world: ControllerWorld,
) -> None:
    class Late:
        """Another controller does the same work while this one asks for the Lease."""

        def __getattr__(self, name: str) -> Any:
            if name == "acquire_lease" and not world.names("CronJob"):
                assert world.cycle(holder="other/uid").exit_code == 0
                writes(world)
            return getattr(world.cluster, name)

    world.source.push(files("shop"))
    cycle = world.cycle(writer=Late())
    assert isinstance(cycle.error, Waiting)
    assert cycle.error.retry_after == 1
    assert {what for _, what in writes(world)} == {f"Lease/{LEASE}"}
    assert "holderIdentity" not in world.cluster.all("Lease")[0]["spec"]
    assert world.cycle().exit_code == 0
    assert writes(world) == []


def test_git_is_never_asked_under_the_lease(world: ControllerWorld) -> None:
    """A slow Git would let the Lease run out: then no cycle would ever write."""
    asked: list[str] = []

    class Slow:
        def fetch(self, last: str | None) -> Any:
            leases = world.cluster.all("Lease")
            asked.append(str(leases[0]["spec"].get("holderIdentity", "")) if leases else "")
            world.clock.sleep(600)
            return world.source.fetch(last)

    world.source.push(files("shop"))
    assert world.cycle(source=Slow()).exit_code == 0
    assert asked == [""]
    assert world.names("CronJob") == ["backstay-shop"]
