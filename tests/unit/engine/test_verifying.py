"""What verify proves of real runs' branches, and every way in which somebody may have lied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.capture import emitter, message, record
from reconciler.engine.reading import HistoryReader
from reconciler.engine.verifying import BranchWalk, Snapshots, check_contained, check_snapshots
from reconciler.model.errors import Transient
from reconciler.model.run import Counts, Outcome, RunRecord
from reconciler.model.store import Delete, FileChange, Write
from reconciler.plan.verify import Branch, Check, Verdict, Verification
from reconciler.report.verify import text_lines, to_json
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.run_world import BRANCH, CLUSTER, RunWorld, manifest
from tests.unit.engine.test_run import list_of


def verify(
    store: HistoryReader, snapshots: Snapshots | None = None, *, shallow: bool = False
) -> Branch:
    return BranchWalk(
        store, CLUSTER, "shop", shallow=shallow, snapshots=snapshots or Snapshots()
    ).walk()


def problems(branch: Branch) -> dict[str, tuple[str, ...]]:
    """What is wrong, without the commits' ids."""
    return {
        check.name: tuple(text.partition(": ")[2] for text in check.problems)
        for check in branch.checks
        if check.verdict is Verdict.PROBLEM
    }


@pytest.fixture(scope="module")
def ran() -> RunWorld:
    """Four runs: all is new, things change, one kind can't be listed, the cluster is away."""
    world = RunWorld()
    world.run()
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": "red"}))
    world.cluster.put(manifest("ConfigMap", "more"))
    world.run(2)
    world.cluster.remove(manifest("ConfigMap", "more"))
    reader = FaultyReader(world.cluster, list_of("ConfigMap"), error=Transient("403"))
    world.run(3, reader=reader)
    world.storage.failure = Transient("storage away")
    world.run(4)
    world.storage.failure = None
    return world


def test_what_runs_made_is_proven(ran: RunWorld) -> None:
    branch = verify(FakeManifestStore(ran.remote))
    assert [check.verdict for check in branch.checks] == [Verdict.PROVEN] * 3, branch
    assert (branch.runs, branch.commits, branch.tip) == (4, 4, ran.remote.heads[BRANCH])
    assert branch.root == ran.commits()[-1].sha


def test_a_shallow_clone_proves_no_history(ran: RunWorld) -> None:
    branch = verify(FakeManifestStore(ran.remote), shallow=True)
    assert [check.verdict for check in branch.checks] == [
        *(Verdict.UNPROVEN, Verdict.PROVEN, Verdict.PROVEN)
    ]


def test_no_branch_proves_nothing() -> None:
    branch = verify(FakeManifestStore())
    assert Verdict.PROVEN not in [check.verdict for check in branch.checks[1:]]


HOUR = timedelta(hours=1)
Forgery = Callable[[RunRecord], tuple[RunRecord, str, list[FileChange]]]
MAP = "shop/configmap/forged.yaml"
FORGED = Write(MAP, emitter.emit(manifest("ConfigMap", "forged")))


def honest(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    return made, message.render_message(made), []


def by_hand(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    return made, "Fix it by hand\n", [FORGED]


def more_files(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    return made, message.render_message(made), [FORGED]


def fewer_files(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    return made, message.render_message(made), [Delete("shop/configmap/settings.yaml")]


def unknown_namespace(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    elsewhere = Write("other/configmap/x.yaml", FORGED.data)
    return made, message.render_message(made), [elsewhere]


def other_cluster(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    made = replace(made, cluster=replace(made.cluster, name="prod-us"))
    return made, message.render_message(made), []


def other_policy(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    made = replace(made, policy=replace(made.policy, name="blog"))
    return made, message.render_message(made), []


def better_message(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    told = message.render_message(made).replace("main@sha1:4", "main@sha1:5")
    return made, told, []


def broken_trailers(made: RunRecord) -> tuple[RunRecord, str, list[FileChange]]:
    told = message.render_message(made).replace("Backstay-Objects: ", "Backstay-Objects: many ")
    return made, told, []


@pytest.mark.parametrize(
    ("forge", "check", "told"),
    [
        (by_hand, "commits", "Fix it by hand"),
        (broken_trailers, "commits", "can't be read"),
        (other_policy, "commits", "a run of blog"),
        (more_files, "records", "its tree has 6 objects of namespace shop, and its record 5"),
        (fewer_files, "records", "its tree has 4 objects of namespace shop, and its record 5"),
        (unknown_namespace, "records", "1 objects of namespace other, of which its record does"),
        (other_cluster, "records", "its record is of cluster prod-us"),
        (better_message, "records", "its message and its record do not say the same"),
    ],
)
def test_what_does_not_fit_is_named_with_its_commit(forge: Forgery, check: str, told: str) -> None:
    world = RunWorld()
    first = world.run().record
    made = replace(
        first, name="shop-20261121-091703-00009", started=first.started + timedelta(hours=8)
    )
    store = FakeManifestStore(world.remote)
    commit(store, honest(made))
    assert problems(verify(store)) == {}
    sha = commit(store, forge(replace(made, name="shop-20261121-101703-0000a")))
    branch = verify(store)
    assert list(problems(branch)) == [check]
    (found,) = next(one for one in branch.checks if one.name == check).problems
    assert found.startswith(f"{sha}: ")
    assert told in found


def commit(store: FakeManifestStore, made: tuple[RunRecord, str, list[FileChange]]) -> str:
    found, text, files = made
    changes = [*files, Write("_run.yaml", record.render_record(found))]
    sha = store.commit(BRANCH, store.tip(BRANCH), changes, text, when=found.finished)
    store.push({BRANCH: sha})
    return sha


def test_a_run_without_its_own_record_and_one_with_two(ran: RunWorld) -> None:
    world = RunWorld()
    made = world.run().record
    store = FakeManifestStore(world.remote)
    text = message.render_message(replace(made, name="shop-20261121-091703-00009"))
    sha = store.commit(BRANCH, store.tip(BRANCH), [], text, when=made.finished)
    store.push({BRANCH: sha})
    commit(store, honest(replace(made, writer="somebody")))
    assert problems(verify(store)) == {
        "records": (
            "run shop-20261121-091703-00009 has no record of its own",
            "run shop-20261121-011703-00001 has another record in another commit",
        )
    }


def failed(made: RunRecord) -> RunRecord:
    parts = (replace(part, objects=Counts()) for part in made.namespaces)
    made = replace(made, outcome=Outcome.FAILED, namespaces=tuple(parts), cluster_scoped=None)
    return replace(made, name="shop-20261121-091703-00009", started=made.finished + HOUR)


@pytest.mark.parametrize("changes", [[FORGED], [Delete("shop/configmap/settings.yaml")]])
def test_i4_a_failed_run_that_changed_manifests_is_a_problem(changes: list[FileChange]) -> None:
    world = RunWorld()
    made = failed(world.run().record)
    store = FakeManifestStore(world.remote)
    commit(store, (made, message.render_message(made), []))
    assert problems(verify(store)) == {}
    again = replace(made, name="shop-20261121-101703-0000a")
    commit(store, (again, message.render_message(again), changes))
    ((name, (told,)),) = problems(verify(store)).items()
    assert name == "records"
    assert told.startswith("its run Failed, and its commit changes manifests (+")
    walk = verify(store, shallow=True)
    assert list(problems(walk)) == ["records"]


def test_i4_a_commit_that_changes_what_its_run_does_not_count_is_not_proven() -> None:
    world = RunWorld()
    first = world.run().record
    store = FakeManifestStore(world.remote)
    made = replace(first, name="shop-20261121-091703-00009", started=first.finished + HOUR)
    forged = Write("shop/configmap/settings.yaml", FORGED.data)
    sha = commit(store, (made, message.render_message(made), [forged]))
    (check,) = [one for one in verify(store).checks if one.name == "records"]
    assert check.verdict is Verdict.UNPROVEN
    (told,) = check.problems
    assert told.startswith(f"{sha}: it changes manifests (+0 ~1 -0), and its run counted +")


def test_what_was_put_on_a_strangers_commit_may_count_otherwise() -> None:
    world = RunWorld()
    first = world.run().record
    store = FakeManifestStore(world.remote)
    made = replace(first, name="shop-20261121-091703-00009", started=first.finished + HOUR)
    commit(store, (replace(made, writer="somebody"), "Fix it by hand\n", []))
    commit(store, honest(made))
    (check,) = [one for one in verify(store).checks if one.name == "records"]
    assert check.verdict is Verdict.PROVEN
    assert check.message.endswith("; 1 were put on another commit")


def test_a_newer_tree_again_on_top_of_a_late_one_is_right() -> None:
    """What is delivered late goes below what is newer: the newer run has two commits then."""
    world = RunWorld()
    world.run()
    store = FakeManifestStore(world.remote)
    newer = world.record()
    late = replace(newer, name="shop-20261121-001703-0000f")
    commit(store, honest(late))
    commit(store, honest(newer))
    assert problems(verify(store)) == {}


Oversize = Callable[[FakeRemote, str, str], None]


def too_many_files(remote: FakeRemote, sha: str, _: str) -> None:
    remote.oversized[sha] = "changes more than 500000 files"


def bomb(remote: FakeRemote, sha: str, _: str) -> None:
    remote.oversized |= {sha: "changes more", f"list {sha}": "its list of files is too long"}


def large_record(remote: FakeRemote, _: str, blob: str) -> None:
    remote.oversized[blob] = "has 68157440 bytes"


@pytest.mark.parametrize(
    ("grow", "told"),
    [
        (too_many_files, "it changes more than 500000 files"),
        (bomb, "it changes more"),
        (large_record, "its record: the file {blob} has 68157440 bytes"),
    ],
)
def test_what_is_too_large_is_a_finding_and_the_rest_is_looked_at(
    grow: Oversize, told: str
) -> None:
    """Two sound runs, the large commit, a sound one, and one that lies: all are told."""
    world = RunWorld()
    first = world.run().record
    store = FakeManifestStore(world.remote)
    made = [replace(first, name=f"shop-20261121-0{hour}1703-0000a") for hour in range(3, 7)]
    commit(store, honest(made[0]))
    large = commit(store, honest(replace(made[1], writer="large")))
    blob = store.tree(large)["_run.yaml"]
    grow(world.remote, large, blob)
    commit(store, honest(made[2]))
    branch = verify(store)
    (bounds,) = [check for check in branch.checks if check.verdict is Verdict.PROBLEM]
    assert bounds.name == "bounds"
    assert bounds.problems == (f"{large}: {told.format(blob=blob)}",)
    (records,) = [check for check in branch.checks if check.name == "records"]
    assert records.message.startswith("3 agree with their commits and trees")
    assert branch.commits == 4
    liar = commit(store, more_files(made[3]))
    found = problems(verify(store))
    assert found["records"] == ("its tree has 6 objects of namespace shop, and its record 5",)
    assert liar in str(verify(store).checks)


def test_a_tree_that_stays_too_long_is_told_until_it_is_gone() -> None:
    world = RunWorld()
    first = world.run().record
    store = FakeManifestStore(world.remote)
    made = [replace(first, name=f"shop-20261121-0{hour}1703-0000a") for hour in range(3, 6)]
    shas = [commit(store, honest(one)) for one in made]
    bomb(world.remote, shas[0], "")
    world.remote.oversized[f"list {shas[1]}"] = "its list of files is too long"
    branch = verify(store)
    assert [len(check.problems) for check in branch.checks if check.name == "bounds"] == [2]
    assert (branch.commits, branch.runs) == (4, 2)
    assert list(problems(branch)) == ["bounds"]


def test_a_rewrite_that_changes_too_much_is_none() -> None:
    world = RunWorld()
    world.run()
    store = FakeManifestStore(world.remote)
    text = f"x\n\n{message.POLICY}: shop\n{message.REWRITTEN}: {store.tip(BRANCH)}\n"
    when = world.record().finished
    sha = store.commit(BRANCH, store.tip(BRANCH), [], text, when=when)
    store.push({BRANCH: sha})
    assert [check.name for check in verify(store).checks][3:] == ["rewritten"]
    too_many_files(world.remote, sha, "")
    assert [check.name for check in verify(store).checks][3:] == ["bounds"]


def snapshot_checks(world: RunWorld) -> list[Check]:
    snapshots = Snapshots()
    verify(FakeManifestStore(world.remote), snapshots)
    return list(check_snapshots(world.keyring, snapshots))


def test_snapshots_that_exist_are_proven() -> None:
    world = RunWorld()
    world.run()
    world.run(2)
    found = snapshot_checks(world)
    assert [(check.verdict, check.message) for check in found] == [
        (Verdict.PROVEN, "2 that records name are there")
    ] * 2


def test_snapshots_that_are_gone_are_named_with_the_run_that_needs_them() -> None:
    world = RunWorld()
    world.run()
    (gone,) = world.repository("shop").snapshots
    world.repository("shop").snapshots.clear()
    (check,) = [one for one in snapshot_checks(world) if one.verdict is not Verdict.PROVEN]
    assert check.verdict is Verdict.PROBLEM
    assert check.problems == (f"{gone.id}: of run {world.record().name} (shop/files)",)


def test_a_repository_that_is_another_one_is_a_problem() -> None:
    world = RunWorld()
    world.run()
    world.repository("shop").id = "f" * 64
    assert [one.verdict for one in snapshot_checks(world)] == [Verdict.PROVEN, Verdict.PROBLEM]


@pytest.mark.parametrize("broken", ["away", "password", "no key"])
def test_i4_what_could_not_be_asked_is_not_proven(broken: str) -> None:
    world = RunWorld()
    world.run()
    if broken == "away":
        world.storage.failure = Transient("storage away")
    else:
        world.keyring.masters = {} if broken == "no key" else {"restic-main": "another" * 8}
    found = snapshot_checks(world)
    assert [one.verdict for one in found] == [Verdict.UNPROVEN] * 2
    report = Verification(
        cluster=CLUSTER,
        at=world.record().finished,
        where="x",
        writer="test",
        branches=(verify(FakeManifestStore(world.remote)),),
        checks=tuple(found),
    )
    assert report.verdict is Verdict.UNPROVEN
    text = "".join(text_lines(report))
    assert text.endswith("NOT PROVEN: no problem was found, and not all could be answered\n")
    assert to_json(report)["verdict"] == "not proven"


def test_a_report_of_nothing_proves_nothing(ran: RunWorld) -> None:
    empty = Verification(
        cluster=CLUSTER, at=ran.record().finished, where="x", writer="test", branches=()
    )
    assert empty.verdict is Verdict.UNPROVEN
    good = Check(name="files", verdict=Verdict.PROVEN, message="git fsck")
    assert replace(empty, checks=(good,)).verdict is Verdict.UNPROVEN


def test_remembered_tips_are_looked_for() -> None:
    found = check_contained(["aaaaaaa", "bbbbbbb"], {"shop": ["c" * 40, "a" * 40]})
    proven, lost = found
    assert (proven.verdict, lost.verdict) == (Verdict.PROVEN, Verdict.PROBLEM)
    assert "rewritten, or it was never there" in lost.message


def test_a_shallow_clone_does_not_know_what_was_rewritten() -> None:
    branches = {"shop": ["a" * 40]}
    held, unknown = check_contained(["aaaaaaa", "bbbbbbb"], branches, shallow=True)
    assert held.verdict is Verdict.PROVEN
    assert unknown.verdict is Verdict.UNPROVEN
    assert "shallow" in unknown.message
    assert "rewritten" not in unknown.message
