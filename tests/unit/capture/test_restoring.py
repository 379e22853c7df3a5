"""The mark of an unfinished restore is no part of what a person wrote."""

from __future__ import annotations

from reconciler.capture import clean
from reconciler.model import naming
from reconciler.model.objects import Resource

CLAIMS = Resource(
    group="",
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    namespaced=True,
)


def test_a_claim_that_is_being_filled_is_captured_without_the_mark() -> None:
    raw = {
        "metadata": {
            "name": "data",
            "namespace": "shop",
            "annotations": {naming.RESTORING: "shop-20261121-041703-7c1e9"},
        },
        "spec": {"accessModes": ["ReadWriteOnce"]},
    }
    assert "annotations" not in clean.clean(raw, CLAIMS)["metadata"]
