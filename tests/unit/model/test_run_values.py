"""Outcomes have an order, counts add up, names of objects are spelled in one way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import objects, run
from tests.unit.capture.records import FULL


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], run.Outcome.COMPLETED),
        ([run.Outcome.SKIPPED], run.Outcome.SKIPPED),
        ([run.Outcome.SKIPPED, run.Outcome.COMPLETED], run.Outcome.COMPLETED),
        ([run.Outcome.PARTIALLY_FAILED, run.Outcome.COMPLETED], run.Outcome.PARTIALLY_FAILED),
        ([run.Outcome.FAILED, run.Outcome.FAILED_VALIDATION], run.Outcome.FAILED),
        ([run.Outcome.PARTIALLY_FAILED, run.Outcome.FAILED], run.Outcome.FAILED),
    ],
)
def test_the_worst_outcome_of_its_parts(parts: list[run.Outcome], whole: run.Outcome) -> None:
    assert run.worst(parts) is whole
    assert run.worst(reversed(parts)) is whole


def test_counts_add_up() -> None:
    total = run.Counts(captured=3, created=1) + run.Counts(captured=2, deleted=4, left_out=9)
    assert total == run.Counts(captured=5, created=1, deleted=4, left_out=9)


def test_objects_are_named_as_their_paths_are() -> None:
    deployment = objects.Resource(
        group="apps", version="v1", kind="Deployment", plural="deployments", namespaced=True
    )
    assert deployment.api_version == "apps/v1"
    assert str(deployment) == "deployment.apps"
    ref = objects.ObjectRef(group="", kind="ConfigMap", namespace="shop", name="web")
    assert str(ref) == "shop/configmap/web"
    assert str(objects.ObjectRef(group="", kind="Namespace", name="shop")) == "namespace/shop"


def test_a_gap_says_what_is_missing_and_why() -> None:
    gap = objects.Gap(group="metrics.k8s.io", reason="503 service unavailable")
    assert str(gap) == "*.metrics.k8s.io: 503 service unavailable"
    narrow = objects.Gap(group="", plural="secrets", namespace="shop", reason="403 forbidden")
    assert str(narrow) == "secrets in namespace shop: 403 forbidden"


def test_a_run_is_of_the_moment_when_its_last_copy_ended() -> None:
    shop, reviews = FULL.namespaces
    db, cache = shop.volumes
    # db-0 was read for 74 s from 04:17:08 on, in use.
    assert FULL.copied == datetime(2026, 11, 21, 4, 18, 22, tzinfo=UTC)
    snapshot = replace(db, copy_method="Snapshot")
    alone = replace(FULL, namespaces=(replace(shop, volumes=(snapshot, cache)),))
    assert alone.copied == shop.captured
    late = replace(reviews, captured=FULL.finished - timedelta(seconds=1))
    assert replace(FULL, namespaces=(shop, late)).copied == late.captured


def test_where_the_parts_do_not_tell_it_is_the_end_of_the_run() -> None:
    shop, reviews = FULL.namespaces
    db, _ = shop.volumes
    untold = replace(shop, volumes=(replace(db, taken=None),))
    assert replace(FULL, namespaces=(untold, reviews)).copied == FULL.finished
    assert replace(FULL, namespaces=()).copied == FULL.finished
    failed = replace(shop, volumes=(replace(db, taken=None, snapshot=None),))
    assert replace(FULL, namespaces=(failed,)).copied == shop.captured
