"""What a run's record has against calling an object deleted that its tree does not have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture.choice import UNKNOWN_REFERENCE
from reconciler.model.run import Counts
from reconciler.plan.unselected import why_not_there
from tests.unit.capture.records import FULL, SMALLEST


@pytest.mark.parametrize(
    ("namespace", "folder", "told"),
    [
        (
            "shop",
            "secret",
            "not selected, whether or not it exists: selector.objects.exclude: secret",
        ),
        ("shop", "configmap", ""),
        ("shop", "node", ""),
        ("mail", "configmap", "its namespace was not captured: it is not selected, or was deleted"),
        ("", "storageclass.storage.k8s.io", ""),
        (
            "",
            "namespace",
            "deleted, or not selected any more: selector.namespaces does not select it",
        ),
        (
            "",
            "csidriver.storage.k8s.io",
            f"deleted, or not selected any more: {UNKNOWN_REFERENCE}",
        ),
    ],
)
def test_the_record_tells(namespace: str, folder: str, told: str) -> None:
    assert why_not_there(FULL, namespace, folder) == told


def test_a_namespace_tells_of_its_own_objects_only() -> None:
    by_kind = replace(FULL, left_out_kinds=())
    assert why_not_there(by_kind, "shop", "secret") == ""
    assert why_not_there(by_kind, "shop-reviews", "secret") == (
        "deleted, or not selected any more: selector.objects.exclude: secret"
    )


def test_a_namespace_that_left() -> None:
    left = replace(FULL.namespaces[1], objects=Counts(deleted=3), reasons=("it left",))
    record = replace(FULL, namespaces=(left,))
    assert why_not_there(record, left.name, "configmap") == "its namespace, says the run: it left"


def test_an_old_record_without_a_cluster_scoped_part() -> None:
    assert why_not_there(SMALLEST, "", "namespace") == ""
