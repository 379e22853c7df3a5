"""Names fit what Kubernetes takes, and stay apart when they are cut."""

from __future__ import annotations

from reconciler.model import naming


def test_short_names_stay() -> None:
    assert naming.cronjob_name("shop") == "backstay-shop"
    assert naming.configmap_name("shop", "sha256:0123456789abcdef") == "backstay-shop-0123456789"
    assert naming.lease_name("shop") == "backstay-run-shop"


def test_long_names_fit_and_differ() -> None:
    first, second = (naming.cronjob_name("a" * 60 + end) for end in "xy")
    assert len(first) == len(second) == 52
    assert first != second
    assert first == naming.cronjob_name("a" * 60 + "x")


def test_a_mover_name_is_the_tasks_own() -> None:
    name = naming.mover_name("shop-20261121-041703-7c1e9", "shop", "data")
    assert name == naming.mover_name("shop-20261121-041703-7c1e9", "shop", "data")
    others = {
        naming.mover_name("shop-20261121-041703-7c1e9", "shop", "data", "restore"),
        naming.mover_name("shop-20261121-041703-7c1e9", "shopdata", ""),
        naming.mover_name("shop-20261121-041703-7c1e9", "sho", "pdata"),
    }
    assert name not in others
    assert len(others) == 3


def test_labels_make_it_ours() -> None:
    found = naming.labels("mover", policy="shop", run_id="r" * 70)
    assert found[naming.COMPONENT] == "mover"
    assert len(found[naming.RUN]) == 63


def test_the_mark_of_a_restore_names_the_source_of_a_copy_only() -> None:
    run_id = "shop-20261121-041703-7c1e9"
    assert naming.restoring(run_id, namespace="shop") == run_id
    assert naming.restoring(run_id, namespace="shop", source="shop") == run_id
    copied = naming.restoring(run_id, namespace="shop2", source="shop")
    assert naming.restoring_of(copied) == (run_id, "shop")
    assert naming.restoring_of(run_id) == (run_id, "")
