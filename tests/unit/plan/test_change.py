"""A plan of a change: what loses and gains protection, why, and on which line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.change import DocumentAction, Protected
from reconciler.model.finding import Place, Severity
from reconciler.plan.change import plan_change
from reconciler.report.change import to_json
from reconciler.report.changecomment import render_comment
from tests.unit.plan.change_world import (
    FILES,
    GOLD,
    NOW,
    SHOP,
    claim,
    edited,
    ids,
    inventory,
    line_of,
    plan,
    revision,
    without,
)

DOCUMENT = "---\n"


def test_nothing_changes() -> None:
    found = plan(FILES)
    assert found.empty
    assert (found.findings, found.changes, found.notes) == ((), (), ())
    assert found.before == found.after == Protected(namespaces=3, claims=3)


def test_an_exclude_takes_protection_and_its_line_is_named() -> None:
    head = edited(shop=('exclude: ["*-preview"]', 'exclude: ["*-preview", "*-blue"]'))
    (lost,) = plan(head).findings
    assert (lost.id, lost.severity) == ("coverage-lost", Severity.ERROR)
    assert lost.message == (
        "namespace shop-blue, with 1 claim, loses protection: policy shop: it is excluded by *-blue"
    )
    assert lost.details == ("shop-blue: claim data (5Gi)",)
    assert (lost.policy, lost.namespace) == ("shop", "shop-blue")
    assert lost.place == Place("shop.yaml", line_of(head, "shop.yaml", "exclude:"))
    assert plan(head).after == Protected(namespaces=2, claims=2)


def test_a_name_that_goes_and_one_that_comes() -> None:
    head = edited(shop=('names: [shop, "shop-*"]', "names: [shop, lab]"))
    lost, gained = plan(head).findings
    assert lost.message == (
        "namespace shop-blue, with 1 claim, loses protection: policy shop no longer selects it"
    )
    assert (gained.id, gained.severity, gained.namespace) == (
        "coverage-gained", Severity.NOTE, "lab",
    )  # fmt: skip
    assert gained.message == "namespace lab, with 1 claim, gains protection: policy shop"
    line = line_of(head, "shop.yaml", "names: [")
    assert lost.place == Place("shop.yaml", line)


def test_a_label_is_asked_for() -> None:
    head = edited(gold=("backup: gold", "backup: gold, tier: one"))
    lost, empty = plan(head).findings
    assert empty.id == "selects-nothing"
    assert lost.message.endswith("policy labelled wants the label tier=one")
    assert lost.place == Place("gold.yaml", line_of(head, "gold.yaml", "matchLabels"))


def test_suspended() -> None:
    head = edited(shop=("spec:\n", "spec:\n  suspend: true\n"))
    (lost,) = plan(head).findings
    assert lost.message == (
        "namespaces shop and shop-blue, with 2 claims, lose protection: policy shop is suspended"
    )
    assert lost.details == ("shop: claim data (10Gi)", "shop-blue: claim data (5Gi)")
    assert lost.place == Place("shop.yaml", line_of(head, "shop.yaml", "suspend"))


def test_a_profile_takes_protection_from_who_uses_it() -> None:
    head = edited(profiles=("copyMethod: Direct", "copyMethod: Skip"))
    found = plan(head)
    (lost,) = found.findings
    assert lost.message == (
        "claim crm/db loses protection: policy labelled skips it: copyMethod Skip"
    )
    assert (lost.namespace, lost.claim) == ("crm", "db")
    assert lost.place == Place("profiles.yaml", line_of(head, "profiles.yaml", "copyMethod"))
    changed = {one.name: one for one in found.changes}
    assert set(changed) == {"labelled", "gold"}
    assert changed["labelled"].fields[0].profile == "gold"


def test_another_cluster() -> None:
    head = edited(shop=("spec:\n", "spec:\n  clusters: {matchLabels: {env: test}}\n"))
    (lost,) = plan(head, env="prod").findings
    assert "policy shop no longer takes this cluster: it is for clusters with env=test" in (
        lost.message
    )
    assert lost.place == Place("shop.yaml", line_of(head, "shop.yaml", "clusters"))


def test_a_removed_policy() -> None:
    found = plan(without("shop"))
    lost, removed = found.findings
    assert ids(found.findings) == ["coverage-lost", "policy-removed"]
    assert lost.message.endswith("lose protection: policy shop is removed")
    assert lost.facts["side"] == removed.facts["side"] == "base"
    assert removed.severity is Severity.WARNING
    assert removed.details == ("3 recovery points stay; the newest is of 2026-11-20T18:00:00Z",)
    assert removed.place == Place("shop.yaml", line_of(FILES, "shop.yaml", "{name: shop}"))
    assert [(one.name, one.action) for one in found.changes] == [("shop", DocumentAction.REMOVED)]


def test_a_removed_policy_whose_namespaces_another_one_keeps() -> None:
    other = edited(gold=("{matchLabels: {backup: gold}}", '{names: ["*"]}'))
    del other["shop.yaml"]
    found = plan(other)
    assert ids(found.findings) == [
        "policy-removed",
        "coverage-gained",
    ]
    assert any("web-cache" in line for line in found.findings[1].details)


def test_a_renamed_policy() -> None:
    head = edited(shop=("{name: shop}", "{name: webshop}"))
    (renamed,) = plan(head).findings
    assert (renamed.id, renamed.severity) == ("policy-renamed", Severity.WARNING)
    assert renamed.message == (
        "policy shop becomes webshop: what it backed up stays under the name shop"
    )
    assert renamed.details == ("3 recovery points stay; the newest is of 2026-11-20T18:00:00Z",)


def test_a_policy_that_moves_to_another_file_is_the_same() -> None:
    head = {**without("shop"), "main.yaml": FILES["main.yaml"] + DOCUMENT + SHOP}
    assert plan(head).empty


def test_two_policies_on_one_claim() -> None:
    both = SHOP.replace("{name: shop}", "{name: again}").replace("17 4", "37 3")
    found = plan({**FILES, "again.yaml": both})
    (twice,) = found.findings
    assert (twice.id, twice.severity) == ("claim-twice", Severity.WARNING)
    assert twice.message == (
        "claims shop/data and shop-blue/data are copied by 2 policies: again and shop"
    )
    assert twice.policy == "again"
    assert twice.place is not None
    assert twice.place.file == "again.yaml"
    assert plan({**FILES, "again.yaml": both}, {**FILES, "again.yaml": both}).empty


def test_a_rule_skips_a_claim() -> None:
    rule = '      - {match: {claims: [data]}, copyMethod: Skip, reason: "no"}\n'
    head = edited(shop=("    copyMethod: Direct\n", f"{rule}    copyMethod: Direct\n"))
    (lost,) = plan(head).findings
    assert lost.message == (
        "claims shop/data and shop-blue/data lose protection: policy shop skips it: rule 2: no"
    )
    assert lost.place == Place("shop.yaml", line_of(head, "shop.yaml", "claims: [data]"))


def test_a_claim_that_cannot_be_copied() -> None:
    known = inventory()
    lab = replace(
        known.namespaces[1],
        claims=(claim("lab", "disk", 0, mode="Block"),),
    )
    known = replace(known, namespaces=(known.namespaces[0], lab, *known.namespaces[2:]))
    assert lab.namespace.name == "lab"
    head = edited(shop=('names: [shop, "shop-*"]', 'names: [shop, "shop-*", lab]'))
    impossible, gained = plan(head, known=known).findings
    assert impossible.id == "copy-impossible"
    assert impossible.message == (
        "policy shop can't copy claim lab/disk: copyMethod Direct; it is a raw block volume, and"
        " Direct copies files"
    )
    assert gained.message == "namespace lab gains protection: policy shop"


def test_another_repository_starts_from_zero() -> None:
    head = edited(main=("/backups/", "/elsewhere/"))
    found = plan(head)
    assert ids(found.findings) == ["repository-changed"] * 2
    assert [one.policy for one in found.findings] == ["labelled", "shop"]
    shop = found.findings[1]
    assert "its next run copies all of 2 claims, up to 15Gi, again" in shop.message
    assert shop.details == (
        "from main: s3:https://s3.example.org/backups/prod-eu/{namespace}",
        "to main: s3:https://s3.example.org/elsewhere/prod-eu/{namespace}",
    )
    assert shop.place == Place("main.yaml", line_of(head, "main.yaml", "url:"))


def test_what_changes_of_a_suspended_policy_is_told() -> None:
    base = edited(shop=("spec:\n", "spec:\n  suspend: true\n"))
    moved = plan(edited(base, main=("/backups/", "/elsewhere/")), base).findings
    shop = next(one for one in moved if one.policy == "shop")
    assert shop.id == "repository-changed"
    assert shop.details[-1] == "it is suspended: so when it is resumed"
    keys = plan(edited(base, main=("restic-main", "restic-new")), base).findings
    assert [(one.id, one.policy) for one in keys] == [
        ("repository-secret-changed", "labelled"),
        ("repository-secret-changed", "shop"),
    ]


def test_another_secret_of_a_repository() -> None:
    head = edited(main=("restic-main", "restic-new"))
    found = plan(head)
    assert ids(found.findings) == ["repository-secret-changed"] * 2
    assert found.findings[0].facts == {"from": "restic-main", "to": "restic-new"}


@pytest.mark.parametrize("broken", ["keepDaily: seven", "keepDaly: 7"])
def test_a_broken_policy_stays_what_it_was(broken: str) -> None:
    head = edited(shop=("keepDaily: 7", broken))
    head["gold.yaml"] = GOLD.replace("backup: gold", "backup: silver")
    found = plan(head)
    assert ids(found.findings) == ["coverage-lost", "selects-nothing"]
    assert found.findings[0].namespace == "crm"
    assert [problem.file for problem in found.problems] == ["shop.yaml"]
    assert "nothing is deleted" in found.notes[-1]


def test_a_broken_profile_changes_nothing_of_who_uses_it() -> None:
    broken = ("keepDaily: 7", "keepDaly: 7")
    found = plan(edited(profiles=broken))
    line = line_of(edited(profiles=broken), "profiles.yaml", "keepDaly")
    assert [problem.file for problem in found.problems] == ["profiles.yaml"]
    assert (found.changes, found.findings) == ((), ())
    mended = plan(FILES, edited(profiles=broken)).changes
    assert [(one.kind, one.name) for one in mended] == [("Profile", "gold")]

    found = plan(edited(profiles=broken, gold=("backup: gold", "backup: silver")))
    (change,) = found.changes
    assert [(one.path, one.after) for one in change.fields] == [
        ("selector.namespaces.matchLabels", '{"backup": "silver"}')
    ]
    assert change.note == (
        f"it stays at its last good version: its Profile gold has a problem, profiles.yaml:{line}"
    )
    assert found.findings == ()
    assert "| BackupPolicy labelled | changed: it stays at its last" in render_comment(found)
    assert to_json(found)["changes"][0]["note"] == change.note

    (change,) = plan(edited(profiles=broken), without("gold")).changes
    assert change.action is DocumentAction.ADDED
    assert change.note == (
        "it is not in force before that is mended: its Profile gold has a problem,"
        f" profiles.yaml:{line}"
    )


def test_a_file_that_nobody_can_read_removes_nothing() -> None:
    found = plan({**FILES, "shop.yaml": "{"})
    assert found.findings == ()
    assert found.changes == ()
    assert found.problems


def test_what_was_broken_before_is_told() -> None:
    found = plan(FILES, edited(shop=("keepDaily: 7", "keepDaily: seven")))
    assert ids(found.findings) == ["coverage-gained"]
    assert "the base has 1 problem itself (shop)" in found.notes[0]
    (change,) = found.changes
    assert change.action is DocumentAction.ADDED
    assert "problem in the base" in change.note


def test_without_an_inventory_names_are_all_that_is_known() -> None:
    head = edited(shop=('names: [shop, "shop-*"]', 'names: ["shop-*"]'))
    found = plan(head, offline=True)
    assert ids(found.findings) == ["coverage-lost", "selector-changed"]
    assert found.findings[0].message == (
        "namespace shop loses protection: policy shop no longer selects it"
    )
    assert found.before is None
    assert found.notes[0].startswith("no inventory of a cluster was given")


def test_without_a_cluster_policies_of_some_clusters_prove_nothing() -> None:
    other = SHOP.replace("{name: shop}", "{name: all}").replace(
        "spec:\n", 'spec:\n  clusters: ["test-*"]\n'
    )
    files = {**FILES, "all.yaml": other}
    head = {name: text for name, text in files.items() if name != "shop.yaml"}
    sides = (revision(files, name="test-1"), revision(head, name="test-1"))
    known = plan_change(*sides, None, cluster="test-1", now=NOW)
    assert ids(known.findings) == ["policy-removed"]
    unknown = plan_change(*sides, None, cluster="", now=NOW)
    assert ids(unknown.findings) == ["coverage-lost", "policy-removed"]
    assert any(note.startswith("no cluster was named") for note in unknown.notes)


def test_an_old_inventory_is_told() -> None:
    old = replace(inventory(), taken=NOW.replace(day=1))
    (note,) = plan(FILES, known=old).notes
    assert note.startswith("the inventory is of 2026-11-01T18:00:00Z: what the cluster got or lost")


def test_a_document_that_moves_to_another_folder_is_listed() -> None:
    moved = {**without("shop"), "teams/lab/shop.yaml": SHOP}
    (change,) = plan(moved).changes
    assert (change.action, change.name, change.fields) == (DocumentAction.CHANGED, "shop", ())
    assert change.note == "moved from shop.yaml"
    assert change.place == Place("teams/lab/shop.yaml", line_of(FILES, "shop.yaml", "metadata"))
    assert not plan(moved).empty
    assert plan({**without("shop"), "store.yaml": SHOP}).empty  # no other rights there
