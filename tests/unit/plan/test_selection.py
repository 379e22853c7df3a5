"""Selection: which namespaces and how each claim, with the reasons that people read."""

from __future__ import annotations

import pytest

from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.policy import CopyMethod, NamespaceSelector, VolumeRule, Volumes
from reconciler.plan import selection

CLUSTER = tuple(
    Namespace(name=name, labels=labels)
    for name, labels in {
        "shop": {"backup": "gold"},
        "shop-preview": {"backup": "gold"},
        "shop-two": {},
        "crm": {"backup": "gold"},
        "kube-system": {},
        "backstay-system": {},
    }.items()
)


def select(
    *names: str, labels: dict[str, str] | None = None, exclude: tuple[str, ...] = ()
) -> selection.Selection:
    selector = NamespaceSelector(names=names, match_labels=labels or {}, exclude=exclude)
    return selection.select_namespaces(selector, CLUSTER, own_namespace="backstay-system")


@pytest.mark.parametrize(
    ("names", "labels", "exclude", "expected"),
    [
        (("shop",), {}, (), ("shop",)),
        (("shop*",), {}, (), ("shop", "shop-preview", "shop-two")),
        (("shop*",), {}, ("*-preview",), ("shop", "shop-two")),
        (("shop*",), {"backup": "gold"}, (), ("shop", "shop-preview")),
        ((), {"backup": "gold"}, (), ("crm", "shop", "shop-preview")),
        (("*",), {}, (), ("crm", "shop", "shop-preview", "shop-two")),
        (("kube-*",), {}, (), ("kube-system",)),
        (("*", "kube-system"), {}, ("shop*",), ("crm", "kube-system")),
        (("*-system",), {}, (), ()),
        (("backstay-system",), {}, (), ("backstay-system",)),
        (("nothing",), {}, (), ()),
    ],
)
def test_namespaces(
    names: tuple[str, ...],
    labels: dict[str, str],
    exclude: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    assert select(*names, labels=labels, exclude=exclude).names == expected


def test_exclude_says_so() -> None:
    assert select("shop*", exclude=("*-preview",)).passed_over == (
        selection.PassedOver("shop-preview", "excluded by *-preview"),
    )


def test_terminating_namespace_is_passed_over() -> None:
    found = selection.select_namespaces(
        NamespaceSelector(names=("a",)),
        [Namespace(name="a", terminating=True)],
        own_namespace="backstay-system",
    )
    assert found.names == ()
    assert found.passed_over == (selection.PassedOver("a", "it is being deleted"),)


@pytest.mark.parametrize(
    ("names", "labels", "why"),
    [
        (("shop",), {}, "named"),
        (("sho?",), {}, "matches sho?"),
        (("sho?",), {"backup": "gold"}, "matches sho? and has labels backup=gold"),
    ],
)
def test_i8_every_namespace_has_its_reason(
    names: tuple[str, ...], labels: dict[str, str], why: str
) -> None:
    assert [found.why for found in select(*names, labels=labels).namespaces] == [why]


VOLUMES = Volumes(
    repository="main",
    copy_method=CopyMethod.DIRECT,
    rules=(
        VolumeRule(claims=("*-cache",), copy_method=CopyMethod.SKIP, reason="rebuilt on start"),
        VolumeRule(storage_class=("slow-*",), copy_method=CopyMethod.SKIP),
    ),
)


def claim(name: str = "data", **fields: object) -> Claim:
    values: dict[str, object] = {"namespace": "shop", "name": name, "phase": "Bound"} | fields
    return Claim(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "method", "why"),
    [
        (claim(), CopyMethod.DIRECT, "copyMethod Direct"),
        (claim("web-cache"), CopyMethod.SKIP, "rule 1: rebuilt on start"),
        (claim(storage_class="slow-hdd"), CopyMethod.SKIP, "rule 2"),
        (claim(phase="Pending"), CopyMethod.SKIP, "it is not bound, so it holds no data"),
    ],
)
def test_i8_every_claim_has_its_method_and_reason(
    given: Claim, method: CopyMethod, why: str
) -> None:
    decision = selection.decide_volume(VOLUMES, given, None)
    assert (decision.method, decision.why, decision.impossible) == (method, why, False)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (claim(phase="Lost"), "Lost"),
        (claim(volume_mode="Block"), "raw block"),
        (claim(access_modes=("ReadWriteOncePod",)), "db-0"),
        (claim(restoring="shop-20261121-041703-7c1e9"), "has not filled it"),
        (claim(phase="Pending", restoring="shop-20261121-041703-7c1e9"), "has not filled it"),
    ],
)
def test_what_direct_cannot_read_is_said_and_not_skipped(given: Claim, word: str) -> None:
    user = ClaimUser(pod="db-0", node="n1")
    decision = selection.decide_volume(VOLUMES, given, user)
    assert decision.impossible
    assert word in decision.why
