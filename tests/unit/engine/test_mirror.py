"""BackupPolicy objects show what is in force: what is written, when, and when nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.observe import observe_claims, observe_namespaces
from reconciler.model import kinds
from reconciler.model.grants import Grant
from reconciler.model.naming import RESTORING
from reconciler.plan.mirrorfacts import REQUESTED_AT
from tests.fakes.faults import FaultyReader
from tests.unit.engine.controller_world import BROKEN, CONFIG, NAMESPACE, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld, claim, with_rpo

NEWEST = {"newest": "2026-11-21T04:17:03Z"}


@pytest.fixture
def world() -> MirrorWorld:
    return MirrorWorld()


def test_a_policy_is_shown_within_the_cycle_that_brought_it(world: MirrorWorld) -> None:
    revision = world.source.push(files(shop=with_rpo(policy_yaml("shop"))))
    assert world.cycle().exit_code == 0
    mirror = world.mirror()
    assert mirror["metadata"]["labels"]["backstay.dev/component"] == "policy"
    assert mirror["metadata"]["annotations"]["backstay.dev/source"] == "policies/shop.yaml#0"
    assert mirror["spec"]["schedule"] == {"cron": "17 2 * * *", "timeZone": "Etc/UTC"}
    assert mirror["spec"]["objectives"] == {"rpo": "26h"}
    assert mirror["spec"]["volumes"]["repository"] == "main"
    status = world.status()
    assert status["observedGeneration"] == mirror["metadata"]["generation"] == 1
    assert status["revision"] == revision
    assert status["schedule"] == {"cron": "17 2 * * *", "timeZone": "Etc/UTC"}
    assert status["nextRun"] == "2026-11-22T02:17:00Z"
    assert status["protected"] == {"namespaces": 1, "claims": 1, **NEWEST}
    assert status["rpo"] == {"state": "Unknown", "promisedSeconds": 93600}
    assert world.conditions() == {"Ready": ("True", "Applied")}
    assert "17 2 * * * (Etc/UTC)" in world.message("Ready")
    assert world.events() == [("Normal", "Applied")]


def test_i7_a_cycle_without_a_change_writes_nothing(world: MirrorWorld) -> None:
    world.source.push(files("shop", "mail", "wiki"))
    world.cycle()
    world.run(1)
    world.cycle()
    world.cluster.writes.clear()
    world.cluster.requests.clear()
    world.clock.sleep(60)
    assert world.cycle().exit_code == 0
    assert world.cluster.writes == []
    # What a cycle costs, whatever the number of policies: docs/controller.md says so too.
    assert world.cluster.requests == {"get": 1, "pages": 7}


def test_i6_what_was_written_is_what_the_next_cycle_finds(world: MirrorWorld) -> None:
    world.source.push(files("shop", broken=BROKEN.replace(b"shop", b"broken")))
    world.cycle()
    world.written()
    world.cycle()
    assert world.written() == []


def test_next_run_moves_on_when_it_has_come(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.written()
    world.clock.sleep(23 * 3600)
    world.cycle()
    assert world.written() == ["update BackupPolicy/shop"]
    assert world.status()["nextRun"] == "2026-11-23T02:17:00Z"
    assert world.events() == [("Normal", "Applied")]


def test_a_changed_policy_is_a_new_generation_and_an_event(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=policy_yaml("shop", "5 5 * * *")))
    world.written()
    world.cycle()
    assert world.mirror()["spec"]["schedule"]["cron"] == "5 5 * * *"
    assert world.mirror()["metadata"]["generation"] == world.status()["observedGeneration"] == 2
    assert world.events() == [("Normal", "Applied")] * 2
    assert [w for w in world.written() if "BackupPolicy" in w] == ["update BackupPolicy/shop"] * 2


def test_a_commit_that_leaves_a_policy_alone_leaves_its_object_alone(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.written()
    world.source.push(files("shop", "mail"))
    world.cycle()
    assert not [w for w in world.written() if w == "update BackupPolicy/shop"]


def test_a_broken_policy_is_stalled_with_its_line_and_keeps_its_last_good_version(
    world: MirrorWorld,
) -> None:
    first = world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=BROKEN))
    world.cycle()
    why = ("InvalidPolicy",)
    assert world.conditions() == {"Ready": ("False", *why), "Stalled": ("True", *why)}
    assert "policies/shop.yaml:4:1: required field" in world.message("Stalled")
    assert first in world.message("Stalled")
    assert world.status()["revision"] == first
    assert world.mirror()["spec"]["schedule"]["cron"] == "17 2 * * *"
    assert world.events() == [("Normal", "Applied"), ("Warning", "InvalidPolicy")]
    world.written()
    world.cycle()
    assert world.written() == []
    world.source.push(files("shop", "mail"))
    world.cycle()
    assert world.conditions() == {"Ready": ("True", "Applied")}
    assert world.events()[2:] == [("Normal", "Recovered")]


def test_a_policy_that_never_was_good_has_no_object(world: MirrorWorld) -> None:
    world.source.push(files(shop=BROKEN))
    world.cycle()
    assert world.cluster.all("BackupPolicy") == []


def test_what_a_hostile_file_says_reaches_no_terminal(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    field = b'"sch\\e[31m\\u202Eedule":'
    world.source.push(files(shop=policy_yaml("shop").replace(b"schedule:", field)))
    world.cycle()
    assert world.message("Stalled").isprintable()


def test_suspended_in_git_is_suspended_in_the_cluster(world: MirrorWorld) -> None:
    text = policy_yaml("shop")
    world.source.push(files(shop=text))
    world.cycle()
    world.source.push(files(shop=text.replace(b"spec:", b"spec:\n  suspend: true")))
    world.cycle()
    assert world.cron_job("shop")["spec"]["suspend"] is True
    assert world.conditions() == {"Ready": ("True", "Suspended")}
    assert "nextRun" not in world.status()
    world.source.push(files(shop=text + b"# again\n"))
    world.cycle()
    assert world.status()["nextRun"] == "2026-11-22T02:17:00Z"
    reasons = [reason for _, reason in world.events()]
    assert sorted(reasons) == ["Applied", "Applied", "Applied", "Resumed", "Suspended"]


def test_a_removed_policys_object_goes_and_its_jobs_stay(world: MirrorWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    world.run(1)
    world.source.push(files("mail"))
    world.cycle()
    assert [m["metadata"]["name"] for m in world.cluster.all("BackupPolicy")] == ["mail"]
    assert world.names("Job") == ["shop-1"]


@pytest.mark.parametrize("case", ["empty", "rewritten", "broken", "no folder"])
def test_i1_as_long_as_its_schedule_is_kept_so_is_its_object(world: MirrorWorld, case: str) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    if case == "empty":
        world.source.push({"policies/README.md": b""})
    elif case == "rewritten":
        world.source.push(files("mail"), rewrite=True)
    elif case == "broken":
        world.source.push(files("mail", wiki=policy_yaml("wiki") + b"nonsense: 1\n"))
    else:
        world.source.push({}, path_found=False)
    world.cycle()
    why = ("DeletionHeld",)
    assert world.conditions() == {"Ready": ("False", *why), "Stalled": ("True", *why)}
    assert "its schedule is kept" in world.message("Stalled")
    assert world.mirror()["spec"]["schedule"]["cron"] == "17 2 * * *"


@pytest.mark.parametrize("case", ["empty", "broken", "no folder", "failed"])
def test_i1_an_object_without_schedule_stays_while_the_revision_may_lack_something(
    world: MirrorWorld, case: str
) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()
    world.cluster.remove(world.cron_job("shop"))
    reader = None
    if case == "empty":
        world.source.push({"policies/README.md": b""})
    elif case == "broken":
        world.source.push(files("mail", wiki=policy_yaml("wiki") + b"nonsense: 1\n"))
    elif case == "no folder":
        world.source.push({}, path_found=False)
    else:
        world.source.push(files("mail"))
        reader = FaultyReader(world.cluster, lambda r, _: r.kind == "ConfigMap", times=1)
    world.cycle(**({"reader": reader} if reader else {}))
    assert world.mirror()
    world.source.push(files("mail"))
    world.cycle()
    assert [m["metadata"]["name"] for m in world.cluster.all("BackupPolicy")] == ["mail"]


def test_an_edit_of_the_spec_is_put_back_and_told(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    good = world.mirror()["spec"]

    def edit(raw: dict[str, dict[str, object]]) -> None:
        raw["spec"]["schedule"] = {"cron": "* * * * *"}
        raw["spec"]["suspend"] = True
        raw["spec"]["profile"] = "mine"
        del raw["spec"]["retention"]

    world.edit(edit, by="kubectl-edit", at="spec.suspend")
    world.cycle()
    assert world.mirror()["spec"] == good
    assert world.events() == [("Normal", "Applied"), ("Warning", "PutBack")]
    (told,) = [f for f in world.log.of("policy event") if f["reason"] == "PutBack"]
    assert "kubectl-edit" in str(told["note"])
    assert "spec.profile" in str(told["note"])
    assert world.cron_job("shop")["spec"]["schedule"] == "17 2 * * *"
    world.written()
    world.cycle()
    assert world.written() == []


def test_an_edit_of_the_status_is_put_back_and_told(world: MirrorWorld) -> None:
    world.source.push(files(shop=with_rpo(policy_yaml("shop"))))
    world.cycle()
    good = world.status()

    def edit(raw: dict[str, dict[str, object]]) -> None:
        raw["status"]["rpo"] = {"state": "Met", "lastGood": "2026-11-21T04:00:00Z"}

    world.edit(edit, by="kubectl", at="status.rpo")
    world.cycle()
    assert world.status() == good
    assert ("Warning", "PutBack") in world.events()


def test_labels_and_annotations_of_ours_are_put_back_and_others_stay(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()

    def edit(raw: dict[str, dict[str, dict[str, str]]]) -> None:
        raw["metadata"]["annotations"]["backstay.dev/source"] = "elsewhere"
        raw["metadata"]["annotations"]["example.org/theirs"] = "stays"

    world.edit(edit)
    world.cycle()
    annotations = world.mirror()["metadata"]["annotations"]
    assert annotations["backstay.dev/source"] == "policies/shop.yaml#0"
    assert annotations["example.org/theirs"] == "stays"


@pytest.mark.parametrize("left", ["nothing", "theirs"])
def test_annotations_that_somebody_removed_come_back(world: MirrorWorld, left: str) -> None:
    """`kubectl annotate shop a- b-` leaves an object without the block."""
    world.source.push(files("shop", "mail"))
    world.cycle()
    good = world.mirror()["metadata"]["annotations"]

    def edit(raw: dict[str, dict[str, object]]) -> None:
        del raw["metadata"]["annotations"]
        if left == "theirs":
            raw["metadata"]["annotations"] = {"example.org/theirs": "stays"}

    world.edit(edit)
    world.source.push(files(shop=policy_yaml("shop"), mail=policy_yaml("mail", "5 5 * * *")))
    world.cycle()
    kept = {"example.org/theirs": "stays"} if left == "theirs" else {}
    assert world.mirror()["metadata"]["annotations"] == good | kept
    assert world.mirror("mail")["spec"]["schedule"]["cron"] == "5 5 * * *"
    assert world.log.of("unexpected error") == []
    world.written()
    world.cycle()
    assert world.written() == []


@pytest.mark.parametrize("copied", [False, True])
def test_an_object_that_is_not_ours_is_told_and_never_touched(
    world: MirrorWorld, copied: bool
) -> None:
    """Also a copy of ours under another name, which has our label."""
    world.source.push(files("mail"))
    world.cycle()
    theirs = world.mirror("mail") if copied else {**world.mirror("mail"), "metadata": {}}
    kept = {k: v for k, v in theirs["metadata"].items() if k in ("labels", "annotations")}
    theirs["metadata"] = {**kept, "name": "shop", "namespace": NAMESPACE}
    before = world.cluster.put(theirs)
    world.source.push(files("mail", "shop"))
    world.cluster.writes.clear()
    world.cycle()
    world.cycle()
    assert world.mirror() == before
    assert len(world.log.of("a BackupPolicy that is not Backstay's has no effect")) == 1
    assert world.cron_job("shop")
    world.cluster.remove(before)
    world.cycle()
    assert world.conditions() == {"Ready": ("True", "Applied")}


def test_what_is_asked_for_is_answered_by_the_next_cycle(world: MirrorWorld) -> None:
    world.source.push(files("shop", "mail"))
    world.cycle()

    def ask(raw: dict[str, dict[str, dict[str, str]]]) -> None:
        raw["metadata"]["annotations"][REQUESTED_AT] = "1795234623"

    world.edit(ask)
    world.cycle()
    assert world.status()["lastHandledReconcileAt"] == "1795234623"
    assert "lastHandledReconcileAt" not in world.status("mail")
    assert world.mirror()["metadata"]["annotations"][REQUESTED_AT] == "1795234623"
    world.written()
    world.cycle()
    assert world.written() == []


def test_what_is_asked_for_while_a_cycle_works_is_not_said_to_be_done(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()

    def ask(raw: dict[str, dict[str, dict[str, str]]]) -> None:
        raw["metadata"]["annotations"][REQUESTED_AT] = "2"

    def late(resource: object, _: str) -> bool:
        if resource == kinds.CRON_JOBS and REQUESTED_AT not in str(world.mirror()):
            world.edit(ask)
        return False

    world.source.push(files(shop=policy_yaml("shop", "5 5 * * *")))
    world.cycle(reader=FaultyReader(world.cluster, late))
    assert "lastHandledReconcileAt" not in world.status()
    world.cycle()
    assert world.status()["lastHandledReconcileAt"] == "2"


def test_the_last_run_and_the_rpo_come_from_jobs(world: MirrorWorld) -> None:
    world.source.push(files(shop=with_rpo(policy_yaml("shop"))))
    world.cycle()
    started = world.clock.now()
    world.run(1)
    world.cycle()
    status = world.status()
    assert status["lastRun"]["outcome"] == "Completed"
    assert status["lastRun"]["name"].startswith("shop-20261121-041703-")
    assert status["lastRun"]["finished"] == "2026-11-21T04:18:03Z"
    assert status["rpo"]["state"] == "Met"
    assert status["rpo"]["lastGood"] == started.strftime("%Y-%m-%dT%H:%M:%SZ")
    world.run(2, code=3)
    world.cycle()
    assert world.status()["lastRun"]["outcome"] == "PartiallyFailed"
    assert world.status()["rpo"]["lastGood"] == status["rpo"]["lastGood"]
    assert world.events()[-1] == ("Warning", "RunPartiallyFailed")


def test_an_rpo_that_is_missed_is_told_once_and_so_is_its_end(world: MirrorWorld) -> None:
    world.source.push(files(shop=with_rpo(policy_yaml("shop"))))
    world.cycle()
    world.run(1)
    world.cycle()
    world.clock.sleep(27 * 3600)
    for _ in range(3):
        world.clock.sleep(60)
        world.cycle()
    assert world.status()["rpo"]["state"] == "Missed"
    assert [reason for _, reason in world.events()] == ["Applied", "RpoMissed"]
    world.run(2)
    world.cycle()
    assert world.status()["rpo"]["state"] == "Met"
    assert world.events()[-1] == ("Normal", "RpoMet")


def test_a_policy_that_never_ran_has_missed_its_rpo_once_the_time_is_over(
    world: MirrorWorld,
) -> None:
    world.source.push(files(shop=with_rpo(policy_yaml("shop"))))
    world.cycle()
    world.clock.sleep(25 * 3600)
    world.cycle()
    assert world.status()["rpo"]["state"] == "Unknown"
    world.clock.sleep(2 * 3600)
    world.cycle()
    assert world.status()["rpo"]["state"] == "Missed"


def test_what_the_jobs_told_stays_when_they_are_gone(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.run(1)
    world.cycle()
    before = world.status()
    for job in world.cluster.all("Job"):
        world.cluster.remove(job)
    world.cluster.writes.clear()
    world.cycle()
    assert (world.written(), world.status()) == ([], before)


def test_what_a_watch_knows_is_not_listed_again(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.cluster.requests.clear()
    known = (observe_namespaces(world.cluster), observe_claims(world.cluster))
    asked = world.cluster.requests["pages"]
    world.cluster.put(claim("more"))
    world.cycle(known=lambda: known)
    assert world.cluster.requests["pages"] - asked == 5
    assert world.status()["protected"] == {"namespaces": 1, "claims": 1, **NEWEST}


def test_a_grant_limits_what_is_counted(world: MirrorWorld) -> None:
    world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mail"}})
    text = policy_yaml("shop").replace(b"[shop]", b'["*"]')
    world.source.push(files(shop=text))
    grants = (Grant(path="policies", admin=True, namespaces=("shop",)),)
    world.cycle(config=replace(CONFIG, grants=grants))
    assert world.status()["protected"] == {"namespaces": 1, "claims": 1, **NEWEST}
    assert world.mirror()["spec"]["selector"]["namespaces"] == {"names": ["*"]}
    world.cycle(config=replace(CONFIG, grants=grants))
    assert world.mirror()["metadata"]["generation"] == 1


@pytest.mark.parametrize(("restoring", "counted"), [({}, 2), ({RESTORING: "shop-1"}, 1)])
def test_a_claim_that_waits_for_its_first_pod_counts_as_in_coverage(
    world: MirrorWorld, restoring: dict[str, str], counted: int
) -> None:
    waits = claim("more")
    waits["status"]["phase"] = "Pending"
    waits["metadata"]["annotations"] = restoring
    world.cluster.put(waits)
    world.source.push(files("shop"))
    world.cycle()
    assert world.status()["protected"]["claims"] == counted


def test_a_new_claim_is_counted_by_the_next_cycle(world: MirrorWorld) -> None:
    world.source.push(files("shop"))
    world.cycle()
    world.cluster.put(claim("more"))
    world.cluster.put(claim("other", "default"))
    world.cycle()
    assert world.status()["protected"] == {"namespaces": 1, "claims": 2, **NEWEST}
