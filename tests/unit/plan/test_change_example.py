"""The README's pull request: an edit of the examples, and the comment that it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.model.change import ChangePlan
from reconciler.model.cluster import Namespace
from reconciler.model.inventory import Inventory, NamespaceInventory, PointDigest
from reconciler.model.run import Outcome
from reconciler.plan.change import plan_change
from reconciler.policy.revisions import read_revision
from reconciler.report.changecomment import render_comment
from tests.conftest import Golden
from tests.unit.plan.change_world import claim, config

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden/report/pull-request.md"
NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
EDITS = {
    "profiles.yaml": (
        "retention: {keepDaily: 7, keepWeekly: 5",
        "retention: {keepDaily: 3, keepWeekly: 1",
    ),
    "wiki.yaml": (
        'namespaces: [wiki, "wiki-*"]',
        'namespaces: {names: [wiki, "wiki-*"], exclude: [wiki-test]}',
    ),
    "shop.yaml": ('["*-cache"]', '["*-cache", uploads]'),
}
SIZES = {
    "crm": {"db": 80},
    "shop": {"db": 20, "uploads": 200, "web-cache": 5},
    "wiki": {"pages": 10},
    "wiki-preview": {"pages": 10},
    "wiki-test": {"pages": 10},
}


def known() -> Inventory:
    """What the controller of prod-eu published: claims in GiB, two weeks of the wiki."""
    return Inventory(
        cluster="prod-eu",
        uid="6a1c",
        labels={"env": "prod"},
        taken=NOW - timedelta(minutes=7),
        namespaces=tuple(
            NamespaceInventory(
                namespace=Namespace(name=name, labels={"backup": "gold"} if name == "crm" else {}),
                claims=tuple(claim(name, one, size << 30) for one, size in claims.items()),
            )
            for name, claims in SIZES.items()
        ),
        points=tuple(
            PointDigest(
                policy="wiki",
                run=f"wiki-{day}",
                started=NOW.replace(hour=0, minute=47) - timedelta(days=day),
                outcome=Outcome.COMPLETED,
                namespaces={"wiki": Outcome.COMPLETED},
            )
            for day in reversed(range(14))
        ),
    )


def example() -> ChangePlan:
    before = {
        f"policies/{path.name}": path.read_bytes() for path in (ROOT / "policies").glob("*.yaml")
    }
    after = dict(before)
    for name, (old, new) in EDITS.items():
        assert after[f"policies/{name}"].count(old.encode()) == 1
        after[f"policies/{name}"] = after[f"policies/{name}"].replace(old.encode(), new.encode())
    cluster = config("prod-eu", env="prod")
    main = "3f2a9c1d0b7e45a88c6d1f0e9b2a7c5d4e3f2a1b"
    change = "b81d0c4e7a5f9263d1c8e0b7a6f5d4c3b2a19087"
    return plan_change(
        read_revision(before, cluster, shown=f"main@sha1:{main}"),
        read_revision(after, cluster, shown=f"save-storage@sha1:{change}"),
        known(),
        cluster="prod-eu",
        now=NOW,
    )


def test_the_comment_of_the_readmes_pull_request(golden: Golden) -> None:
    golden("report/pull-request.md", render_comment(example()))


def test_the_readme_shows_exactly_that_comment() -> None:
    text = (ROOT / "README.md").read_text()
    _, _, section = text.partition("\n## What a reviewer sees\n")
    section, _, _ = section.partition("\n## ")
    assert GOLDEN.read_text() in section


def test_the_readme_names_the_edits() -> None:
    text = (ROOT / "README.md").read_text()
    for _, new in EDITS.values():
        assert new in text
