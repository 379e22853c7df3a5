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
