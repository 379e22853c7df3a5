"""What is missing is told with its place, where several namespaces stand in one list."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.run import Counts, NamespaceRecord, Outcome, VolumeRecord
from reconciler.plan.reasons import tell_reasons


def part(name: str, *reasons: str, claims: tuple[str, ...] = ()) -> NamespaceRecord:
    return NamespaceRecord(
        name=name,
        outcome=Outcome.PARTIALLY_FAILED,
        captured=datetime(2026, 11, 21, tzinfo=UTC),
        objects=Counts(),
        reasons=reasons,
        volumes=tuple(
            VolumeRecord(claim=claim, copy_method="Direct", why="", outcome=Outcome.FAILED)
            for claim in claims
        ),
    )


def test_the_same_claim_of_two_namespaces_is_told_apart() -> None:
    parts = [part(name, "volume posts: no space", claims=("posts",)) for name in ("blog", "blog-2")]
    assert tell_reasons(parts) == (
        "volume blog/posts: no space",
        "volume blog-2/posts: no space",
    )


def test_what_is_true_of_several_namespaces_is_told_once() -> None:
    gap = "not captured: *.apps: 503"
    assert tell_reasons([part("shop", gap), part("blog", gap)]) == (f"shop, blog: {gap}",)
    many = [part(f"n{number}", gap) for number in range(6)]
    assert tell_reasons(many) == (f"6 namespaces: {gap}",)


def test_what_names_its_namespace_is_left_as_it_is() -> None:
    gap = "not captured: secrets in namespace shop: 403"
    assert tell_reasons([part("shop", gap), part("blog", "volume gone: why")]) == (
        gap,
        "blog: volume gone: why",
    )
