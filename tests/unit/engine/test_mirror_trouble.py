"""What goes wrong around BackupPolicy objects: it is shown or told, and never stops schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.engine.applying import LEASE
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Incomplete, Refused, Stalled, Transient
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.engine.controller_world import NAMESPACE, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld


@pytest.fixture
def world() -> MirrorWorld:
    return MirrorWorld()


def test_without_the_definition_the_loop_goes_on_and_says_so(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.run(1)
    world.cycle()
    world.unserve()
    world.log.take()
    world.source.push(files("shop", "mail"))
    assert world.cycle().exit_code == 0
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]
    (told,) = world.log.of("policies not shown")
    assert "does not serve BackupPolicy" in str(told["why"])
    assert "crd-backuppolicies.yaml" in str(told["hint"])
    world.cycle()
    assert len(world.log.of("policies not shown")) == 1
    world.serve()
    world.cycle()
    assert world.conditions("mail") == {"Ready": ("True", "Applied")}
    assert world.status()["lastRun"]["outcome"] == "Completed"


def test_a_definition_that_goes_in_the_middle_of_a_cycle_stops_nothing(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    seen = 0

    def gone(resource: object, _: str) -> bool:
        nonlocal seen
        if resource == kinds.BACKUP_POLICIES:
            seen += 1
            if seen == 2:
                world.unserve()
        return False

    assert world.cycle(reader=FaultyReader(world.cluster, gone)).exit_code == 0
    assert world.cron_job("shop")
    assert len(world.log.of("policies not shown")) == 1


def test_who_may_not_list_namespaces_counts_nothing_and_shows_the_rest(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    reader = FaultyReader(
        world.cluster, lambda r, _: r.kind == "Namespace", error=Refused("list namespace: no")
    )
    world.cycle(reader=reader)
    assert "protected" not in world.status()
    assert world.status()["nextRun"]
    assert world.log.of("policies not shown")[0]["why"] == "list namespace: no"


@pytest.mark.parametrize(
    ("error", "again", "kind"),
    [
        (Transient("no route to git.example.org"), Transient("time-out"), "Reconciling"),
        (Stalled("refused the key (request 4f1)"), Stalled("refused the key (9ab)"), "Stalled"),
    ],
)
def test_a_source_that_fails_is_shown_since_when_and_runs_go_on(
    world: MirrorWorld, error: BackstayError, again: BackstayError, kind: str
) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.clock.sleep(60)
    world.source.failures.append(error)
    since = world.clock.now()
    world.cycle()
    assert world.conditions() == {
        "Ready": ("True", "Applied"),
        kind: ("True", "SourceFailed"),
    }
    assert "step fetch" in world.message(kind)
    world.written()
    world.clock.sleep(60)
    world.source.failures += [again, again]
    world.cycle()
    assert world.written() == []
    shown = [c for c in world.status()["conditions"] if c["type"] == kind]
    assert shown[0]["lastTransitionTime"] == since.strftime("%Y-%m-%dT%H:%M:%SZ")
    world.run(1)
    world.clock.sleep(24 * 3600)
    world.cycle()
    assert world.status()["lastRun"]["outcome"] == "Completed"
    assert datetime.fromisoformat(world.status()["nextRun"]) > world.clock.now().astimezone(UTC)
    world.cycle()
    assert world.conditions() == {"Ready": ("True", "Applied")}
    assert [reason for _, reason in world.events()] == ["Applied"]


def test_another_thing_that_somebody_must_change_is_shown_since_the_first(
    world: MirrorWorld,
) -> None:
    """The key was renewed, and now something else stands in the way: the first is no help."""
    world.source.push(files("shop"))
    world.cycle()
    since = world.clock.now()
    for number, said in enumerate(("the key was refused", "the host key is another")):
        world.source.failures.append(Refused(said, hint=f"do {number}"))
        world.cycle()
        assert f"{said}; what is in force stays, and runs go on; do {number}" in world.message(
            "Stalled"
        )
        world.clock.sleep(60)
    (shown,) = [c for c in world.status()["conditions"] if c["type"] == "Stalled"]
    assert shown["lastTransitionTime"] == since.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [reason for _, reason in world.events()] == ["Applied"]


def test_an_edit_is_put_back_while_git_is_away(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    good = world.mirror()["spec"]
    world.edit(lambda raw: raw["spec"].update(suspend=True))
    world.source.failures.append(Transient("fetch: no answer"))
    world.cycle()
    assert world.mirror()["spec"] == good


def test_a_taken_name_stalls_with_what_to_do(world: MirrorWorld) -> None:
    name = {"name": "backstay-shop", "namespace": NAMESPACE}
    spec = {"schedule": "1 1 * * *", "jobTemplate": {"spec": {"template": {"spec": {}}}}}
    world.cluster.put({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": name, "spec": spec})
    world.source.push(files("shop"))
    world.cycle()
    why = ("Blocked",)
    assert world.conditions() == {"Ready": ("False", *why), "Stalled": ("True", *why)}
    assert "it is not Backstay's; remove it" in world.message("Stalled")
    assert "schedule" not in world.status()
    assert "nextRun" not in world.status()


def test_what_the_api_server_refuses_stalls_and_the_old_version_is_in_force(
    world: MirrorWorld,
) -> None:
    first = world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=policy_yaml("shop", "5 5 * * *")))
    no = Refused("patch cronjob: HTTP 403 quota", hint="raise the quota")
    world.cycle(writer=FaultyWriter(world.cluster, "apply", error=no, after=2))
    assert world.conditions()["Stalled"] == ("True", "Blocked")
    assert "quota; raise the quota" in world.message("Stalled")
    assert world.status()["revision"] == first
    assert world.mirror()["spec"]["schedule"]["cron"] == "17 2 * * *"
    world.cycle()
    assert world.conditions() == {"Ready": ("True", "Applied")}
    assert world.mirror()["spec"]["schedule"]["cron"] == "5 5 * * *"


@pytest.mark.parametrize("method", ["create", "patch", "announce"])
def test_what_keeps_mirrors_from_being_written_never_stops_the_loop(
    world: MirrorWorld, method: str
) -> None:
    world.source.push(files("shop", "mail"))
    no = Refused(f"{method}: HTTP 403 Forbidden", hint="grant it")
    cycle = world.cycle(writer=FaultyWriter(world.cluster, method, error=no))
    assert cycle.exit_code == 0
    assert world.names("CronJob") == ["backstay-mail", "backstay-shop"]
    told = world.log.of("policies not shown") + world.log.of("event not written")
    assert "HTTP 403" in str(told[0]["why"])
    world.cycle()
    assert world.conditions("mail") == world.conditions() == {"Ready": ("True", "Applied")}


def test_an_api_server_that_goes_away_meanwhile_is_told(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    reader = FaultyReader(
        world.cluster,
        lambda r, _: r == kinds.BACKUP_POLICIES,
        error=Incomplete("list backuppolicy: hung up"),
    )
    assert world.cycle(reader=reader).exit_code == 0
    assert world.log.of("policies not shown")[0]["why"] == "list backuppolicy: hung up"


def test_another_controllers_lease_is_waited_for(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.edit(lambda raw: raw["spec"].update(suspend=True))
    world.cluster.acquire_lease(NAMESPACE, LEASE, "another", seconds=180)
    world.written()
    world.cycle()
    assert world.written() == []
    world.clock.sleep(timedelta(minutes=4).total_seconds())
    world.cycle()
    assert "suspend" not in world.mirror()["spec"] or not world.mirror()["spec"]["suspend"]


def test_an_object_that_no_program_here_wrote_costs_its_own_policy_only(world: MirrorWorld) -> None:
    """Of a definition of another version: its conditions lack what ours need."""
    world.source.push(files("shop", "mail"))
    world.cycle()
    odd = [{"type": "Ready", "status": "True"}]
    world.edit(lambda raw: raw["status"].update(conditions=odd), name="mail")
    world.source.push(files(shop=policy_yaml("shop", "5 5 * * *"), mail=policy_yaml("mail")))
    assert world.cycle().exit_code == 0
    assert world.mirror()["spec"]["schedule"]["cron"] == "5 5 * * *"
    (told,) = world.log.of("policies not shown")
    assert "the mirroring of policy mail" in str(told["why"])
    assert world.status("mail")["conditions"] == odd
