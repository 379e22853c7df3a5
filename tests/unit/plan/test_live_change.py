"""A plan against a cluster leads with what a plan between two revisions does, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from reconciler.cli.planlive import Led, show
from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.grants import Grant
from reconciler.model.hooks import Hook, HookCommand
from reconciler.model.policy import BackupPolicy, Repository, Value
from reconciler.plan.changelive import LIVE, LIVE_ONLY
from tests.unit.plan.change_world import (
    FILES,
    MAIN,
    SHOP,
    edited,
    ids,
    inventory,
    line_of,
    without,
)
from tests.unit.plan.live_world import LiveWorld

EMPTY: Mapping[str, str] = {"main.yaml": MAIN}
OTHER = MAIN.replace("name: main", "name: other").replace("/backups/", "/elsewhere/")
CRM = SHOP.replace("name: shop", "name: crm").replace('[shop, "shop-*"]', "[crm]")
TWO = {
    **edited(
        profiles=("    copyMethod: Direct\n", "    copyMethod: Direct\n    repository: main\n"),
        shop=("  volumes:\n", "  volumes:\n    repository: main\n"),
    ),
    "other.yaml": OTHER,
}
CHANGES = {
    "all is new": (EMPTY, FILES),
    "an exclude": (FILES, edited(shop=('exclude: ["*-preview"]', 'exclude: ["*-blue"]'))),
    "another name": (FILES, edited(shop=('names: [shop, "shop-*"]', "names: [shop, lab]"))),
    "suspended": (FILES, edited(shop=("spec:\n", "spec:\n  suspend: true\n"))),
    "resumed": (edited(shop=("spec:\n", "spec:\n  suspend: true\n")), FILES),
    "removed": (FILES, without("shop")),
    "renamed": (
        FILES,
        edited(shop=("{name: shop}\nspec:\n", "{name: store}\nspec:\n  renamedFrom: shop\n")),
    ),
    "a shorter retention": (FILES, edited(shop=("keepDaily: 7", "keepDaily: 2"))),
    "a longer retention": (FILES, edited(profiles=("keepDaily: 7", "keepDaily: 9"))),
    "seldomer, and no RPO": (
        FILES,
        edited(shop=('schedule: "17 4 * * *"', 'schedule: "17 4 * * 1"\n  objectives: {rpo: 25h}')),
    ),
    "an hour that is skipped": (
        FILES,
        edited(shop=('"17 4 * * *"', '{cron: "30 2 * * *", timeZone: Europe/Berlin}')),
    ),
    "another URL": (FILES, edited(main=("/backups/", "/elsewhere/"))),
    "another Secret": (FILES, edited(main=("restic-main", "restic-new"))),
    "another Repository": (
        TWO,
        {**TWO, "shop.yaml": SHOP.replace("  volumes:\n", "  volumes:\n    repository: other\n")},
    ),
    "a rule": (FILES, edited(shop=('claims: ["*-cache"]', "claims: [data]"))),
    "one claim twice": (FILES, edited(shop=('names: [shop, "shop-*"]', 'names: ["*"]'))),
    "at once": (FILES, edited(shop=('"17 4 * * *"', '"47 2 * * *"'))),
    "a profile": (FILES, edited(profiles=('"47 2 * * *"', '"47 3 * * 1"'))),
}  # fmt: skip


def told(findings: Iterable[Finding]) -> list[Finding]:
    """What must be equal, in one order; a line of the base is one that only Git knows."""
    found = [
        replace(one, place=Place(one.place.file))
        if one.place and one.facts.get("side") == "base"
        else one
        for one in findings
        if one.id not in LIVE_ONLY
    ]
    return sorted(found, key=lambda one: (one.id, one.message))


@pytest.mark.parametrize(("base", "head"), CHANGES.values(), ids=CHANGES)
def test_the_same_as_between_two_revisions(base: dict[str, str], head: dict[str, str]) -> None:
    world = LiveWorld().apply(base)
    wanted = world.between(base, head)
    assert wanted, "the example changes something"
    found = world.findings(head)
    assert told(found) == told(wanted)
    assert set(ids(found)) <= LIVE
    world.apply(head)
    assert world.findings(head) == ()


def test_a_policy_that_is_held_stays_what_it_is_and_nothing_is_said_of_it_but_that() -> None:
    world = LiveWorld().apply()
    head = edited(shop=("keepDaily: 7", "keepDaly: 1"), main=("/backups/", "/elsewhere/"))
    found = world.findings(head)
    assert {one.id: one.policy for one in found} == {
        "repository-changed": "labelled",
        "change-skipped": "shop",
    }
    (skipped,) = (one for one in found if one.id == "change-skipped")
    assert skipped.place == Place("shop.yaml", line_of(head, "shop.yaml", "metadata"))
    world.apply(head)
    assert ids(world.findings(head)) == ["change-skipped"]
    mended = edited(main=("/backups/", "/elsewhere/"))
    assert [(one.id, one.policy) for one in world.findings(mended)] == [
        ("repository-changed", "shop")
    ]
    assert world.apply(mended).findings(mended) == ()


def test_what_a_brake_holds_loses_nothing() -> None:
    world = LiveWorld().apply()
    gone = {"main.yaml": MAIN}
    made = world.cluster.plan(world.desired(gone))
    assert made.brakes
    found = world.findings(gone, made=made)
    assert set(ids(found)) == {"deletion-refused", "change-skipped", "approval-loses"}
    approved = world.findings(gone)
    assert ids(approved).count("coverage-lost") == 2
    assert ids(approved).count("policy-removed") == 2


def test_what_would_be_lost_once_approved_is_told_by_name_and_is_no_loss_yet() -> None:
    world = LiveWorld().apply()
    gone = {"main.yaml": MAIN}
    made = world.cluster.plan(world.desired(gone))
    held = [one for one in world.findings(gone, made=made) if one.id == "approval-loses"]
    lost = [one for one in world.findings(gone) if one.id == "coverage-lost"]
    assert len(held) == len(lost) == 2
    for then, now in zip(lost, held, strict=True):
        assert now.message == f"once the deletions are approved: {then.message}"
        assert (now.details, now.place, now.policy) == (then.details, then.place, then.policy)
        assert (now.severity, now.facts["finding"]) == (Severity.WARNING, "coverage-lost")
        assert now.hint == f"`Backstay-Approve: {made.approval}` approves it"
    assert "shop-blue" in held[1].message + str(held[1].details)


def test_what_another_policy_protects_too_is_lost_by_no_approval() -> None:
    files = {**FILES, "all.yaml": SHOP.replace("name: shop", "name: all").replace("17 4", "37 5")}
    world = LiveWorld().apply(files)
    gone = {name: text for name, text in files.items() if name not in ("shop.yaml", "gold.yaml")}
    made = world.cluster.plan(world.desired(gone))
    assert made.approval
    held = [one for one in world.findings(gone, made=made) if one.id == "approval-loses"]
    assert {one.policy for one in held if one.facts["finding"] == "coverage-lost"} == {"labelled"}


def test_what_nobody_can_approve_is_not_told_as_if_it_could_be() -> None:
    world = LiveWorld().apply()
    gone = {"main.yaml": MAIN, "broken.yaml": "kind: BackupPolicy\n"}
    made = world.cluster.plan(world.desired(gone))
    assert made.brakes
    assert not made.approval
    assert "approval-loses" not in ids(world.findings(gone, made=made))


def test_what_a_brake_holds_does_not_hide_what_else_changes() -> None:
    files = {**FILES, "crm.yaml": CRM.replace("17 4", "37 5")}
    world = LiveWorld().apply(files)
    head = {
        **files,
        "crm.yaml": CRM.replace("17 4", "37 5").replace("keepDaily: 7", "keepDaily: 2"),
    }
    head = {name: text for name, text in head.items() if name not in ("shop.yaml", "gold.yaml")}
    made = world.cluster.plan(world.desired(head))
    assert made.brakes
    found = world.findings(head, made=made)
    assert {one.id for one in found if one.policy == "crm"} == {"retention-shortened"}
    assert {one.id for one in found} == {
        "retention-shortened", "deletion-refused", "change-skipped", "approval-loses",
    }  # fmt: skip


def test_a_file_that_moves_and_a_config_map_that_is_gone_change_no_policy() -> None:
    world = LiveWorld().apply()
    moved = {**without("shop"), "moved.yaml": SHOP}
    assert not world.plan(moved).empty
    assert world.findings(moved) == ()
    for name in world.cluster.of("ConfigMap"):
        del world.cluster.objects["ConfigMap", name]
    assert not world.plan(FILES).empty
    assert world.findings(FILES) == ()


def test_a_policy_that_leaves_this_cluster() -> None:
    world = LiveWorld().apply()
    head = edited(shop=("spec:\n", "spec:\n  clusters: {names: [prod-us]}\n"))
    lost, removed = world.findings(head)
    line = line_of(head, "shop.yaml", "names: [prod-us]")
    assert (lost.id, removed.id) == ("coverage-lost", "policy-removed")
    assert lost.place == removed.place == Place("shop.yaml", line)
    assert "prod-us" in removed.message
    assert "side" not in removed.facts


def test_a_hook_that_is_new_and_what_a_grant_keeps_are_told() -> None:
    grants = (Grant(admin=True), Grant(path="team", namespaces=("shop",), hooks=("shop",)))
    world = LiveWorld(grants=grants)
    head = {"main.yaml": MAIN, "team/shop.yaml": SHOP.replace('"shop-*"', '"shop*"')}
    (kept,) = (one for one in world.findings(head) if one.id == "grant-excludes")
    assert (kept.severity, kept.namespace) == (Severity.NOTE, "shop-blue")
    assert kept.place == Place("team/shop.yaml", line_of(head, "team/shop.yaml", "names:"))
    world.apply(head)
    assert world.findings(head) == ()
    flush = Hook(name="flush", match_labels={"app": "db"}, pre=HookCommand(("sync",), 30))

    def hooked(value: Value) -> Value:
        if not isinstance(value, BackupPolicy):
            return value
        return replace(value, hooks=(flush,), hooks_within=("shop",))

    world.edit = hooked
    (found,) = world.findings(head)
    assert (found.id, found.namespace) == ("hook-executes", "shop")
    assert 'executes ["sync"] before the copy' in found.message


@pytest.mark.parametrize("known", [True, False])
def test_points_that_nobody_could_read_are_not_said_to_be_none(known: bool) -> None:
    world = LiveWorld().apply()
    seen = inventory()
    there = tuple(replace(one, namespaces={"shop": one.outcome}) for one in seen.points)
    seen = replace(seen, points=there if known else (), points_known=known)
    (found,) = world.findings(edited(shop=("keepDaily: 7", "keepLast: 1")), seen)
    assert found.id == "retention-shortened"
    assert found.facts["points"] == ("2" if known else "unknown")
    assert found.severity is (Severity.ERROR if known else Severity.WARNING)
    gone = next(one for one in world.findings(without("shop"), seen) if one.id == "policy-removed")
    assert gone.facts.get("points") == ("3" if known else None)


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (FILES, set()),
        (edited(shop=("keepDaily: 7", "keepDaily: 2")), {"shop"}),
        (edited(shop=("17 4", "18 4")), set()),
        (without("shop"), {"shop"}),
        ({**FILES, "crm.yaml": CRM}, set()),
        ({**FILES, "crm.yaml": CRM.replace("spec:\n", "spec:\n  renamedFrom: old\n")}, {"old"}),
        (CHANGES["renamed"][1], {"shop"}),
    ],
)
def test_only_the_points_of_which_something_is_said_are_wanted(
    head: dict[str, str], wanted: set[str]
) -> None:
    assert LiveWorld().apply().change(head).points_wanted() == wanted


def test_where_nobody_may_look_what_files_alone_tell_is_told() -> None:
    world = LiveWorld().apply()
    found = world.findings(edited(shop=("exclude:", "exclude: [lab] #")), blind=True)
    selector = next(one for one in found if one.id == "selector-changed")
    assert selector.hint == "let this account list namespaces and claims"


@pytest.mark.parametrize(
    "url",
    [
        "sftp:ann:hunter2@host.example.org:/backups/{cluster}/{namespace}",
        "rest:https://ann:hunter2@host.example.org/{cluster}/{namespace}",
        "rest:https://ann:hun/hunter2@host.example.org/{cluster}/{namespace}",
        "s3:https://s3.example.org/{cluster}/{namespace}?key=hunter2",
    ],
)
@pytest.mark.parametrize("output", ["text", "markdown", "json", "github"])
def test_a_password_that_an_older_version_took_is_shown_nowhere(
    url: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def old(value: Value) -> Value:
        return replace(value, url=url) if isinstance(value, Repository) else value

    world = LiveWorld()
    world.edit = old
    world.apply()
    world.edit = lambda value: value
    made = world.plan(FILES)
    found = world.findings(FILES, made=made)
    assert ids(found) == ["repository-changed", "repository-changed"]
    show(Led(made, found), output)
    said = capsys.readouterr().out
    assert "example.org" in said
    assert "hunter2" not in said
