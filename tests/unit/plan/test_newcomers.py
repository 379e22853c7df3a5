"""What is said of what came into a cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.noticing import inventory_of
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import ClusterConfig
from reconciler.model.inventory import Inventory
from reconciler.model.policy import BackupPolicy, Exemption, NamespaceSelector
from reconciler.model.protection import State
from reconciler.plan.newcomers import Newcomer, find_newcomers
from reconciler.policy import parse_files
from tests.unit.engine.controller_world import CONFIG, files, policy_yaml

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
BEFORE = (Namespace(name="default"), Namespace(name="mail"))


def policies(**texts: bytes) -> tuple[BackupPolicy, ...]:
    """Policies as the parser gives them."""
    return parse_files(files(**texts), CONFIG).policies


SHOPS = policies(shop=policy_yaml("shop").replace(b"[shop]", b'["shop*"]'))


def inventory(*namespaces: Namespace, claims: tuple[Claim, ...] = ()) -> Inventory:
    """A cluster with these."""
    return inventory_of(
        namespaces, claims, cluster=ClusterConfig("prod-eu"), own_namespace="backstay-system"
    )


def claim(namespace: str, name: str = "data", **fields: Any) -> Claim:
    """A bound claim."""
    return Claim(namespace=namespace, name=name, phase="Bound", **fields)


def find(
    after: Inventory,
    *,
    before: Inventory | None = None,
    by: tuple[BackupPolicy, ...] = SHOPS,
    exemptions: tuple[Exemption, ...] = (),
) -> list[tuple[str, str]]:
    """(title, sentence) of each."""
    return [(one.title, one.sentence) for one in found(after, before=before, by=by, ex=exemptions)]


def found(
    after: Inventory,
    *,
    before: Inventory | None = None,
    by: tuple[BackupPolicy, ...] = SHOPS,
    ex: tuple[Exemption, ...] = (),
) -> tuple[Newcomer, ...]:
    """The values."""
    old = inventory(*BEFORE) if before is None else before
    return find_newcomers(old, after, by, ex, now=NOW, shared_key=True)


def test_a_namespace_that_matches_is_told_with_its_next_run() -> None:
    after = inventory(*BEFORE, Namespace(name="shop-2"))
    assert find(after) == [
        ("namespace shop-2", "protected by shop from its next run at 2026-11-22T02:17Z")
    ]


def test_a_claim_that_matches_is_told() -> None:
    shop = Namespace(name="shop")
    before = inventory(*BEFORE, shop)
    (only,) = found(inventory(*BEFORE, shop, claims=(claim("shop"),)), before=before)
    assert (only.title, only.state, only.policies) == (
        "claim shop/data", State.PROTECTED, ("shop",),
    )  # fmt: skip
    assert only.sentence == "protected by shop from its next run at 2026-11-22T02:17Z"


def test_what_matches_nothing_is_unprotected() -> None:
    after = inventory(*BEFORE, Namespace(name="wiki"), claims=(claim("wiki"), claim("mail")))
    assert find(after) == [
        ("claim mail/data", "unprotected: no policy selects its namespace"),
        ("namespace wiki", "unprotected: no policy selects it"),
        ("claim wiki/data", "unprotected: no policy selects its namespace"),
    ]
    assert {one.state for one in found(after)} == {State.UNPROTECTED}


def test_a_label_that_makes_it_match_is_news_though_it_is_not_new() -> None:
    gold = policies(gold=policy_yaml("gold").replace(b"[gold]", b"{matchLabels: {backup: gold}}"))
    after = inventory(BEFORE[0], Namespace(name="mail", labels={"backup": "gold"}))
    (only,) = found(after, by=gold)
    assert not only.new
    assert only.sentence.startswith("protected by gold from its next run at ")
    (back,) = found(inventory(*BEFORE), before=after, by=gold)
    assert not back.new
    assert back.state is State.UNPROTECTED


def test_what_stays_as_it_was_or_goes_is_no_news() -> None:
    shop = Namespace(name="shop")
    before = inventory(*BEFORE, shop, claims=(claim("shop"),))
    assert find(before, before=before) == []
    assert find(inventory(*BEFORE), before=before) == []
    ending = replace(shop, terminating=True)
    assert find(inventory(*BEFORE, ending, claims=(claim("shop"),)), before=before) == []
    annotated = replace(shop, annotations={"a": "b"})
    assert find(inventory(*BEFORE, annotated, claims=(claim("shop"),)), before=before) == []


def test_a_claim_that_gets_bound_was_told_when_it_came() -> None:
    shop = Namespace(name="shop")
    waiting = replace(claim("shop"), phase="Pending")
    before = inventory(*BEFORE, shop, claims=(waiting,))
    assert len(find(before, before=inventory(*BEFORE, shop))) == 1
    assert find(inventory(*BEFORE, shop, claims=(claim("shop"),)), before=before) == []


def test_what_kubernetes_and_backstay_make_is_no_application() -> None:
    after = inventory(*BEFORE, Namespace(name="kube-node-lease"), Namespace(name="backstay-system"))
    assert find(after) == []


def test_a_suspended_policy_protects_nothing() -> None:
    resting = tuple(replace(policy, suspend=True) for policy in SHOPS)
    ((_, sentence),) = find(inventory(*BEFORE, Namespace(name="shop")), by=resting)
    assert sentence == "unprotected: policy shop would protect it and is suspended"


def test_an_exemption_is_named() -> None:
    exemption = Exemption(
        name="caches",
        namespaces=NamespaceSelector(names=("cache-*",)),
        reason="rebuilt on start",
        owner="team-a",
        expires="2027-03-31T23:59:59Z",
    )
    after = inventory(*BEFORE, Namespace(name="cache-1"))
    assert find(after, exemptions=(exemption,)) == [
        ("namespace cache-1", "exempt by caches: rebuilt on start")
    ]


def test_several_policies_are_all_named() -> None:
    both = policies(
        a=policy_yaml("a").replace(b"[a]", b"[shop]"), b=policy_yaml("b").replace(b"[b]", b"[shop]")
    )
    ((_, sentence),) = find(inventory(*BEFORE, Namespace(name="shop")), by=both)
    assert sentence == (
        "protected by a from its next run at 2026-11-22T02:17Z"
        " and protected by b from its next run at 2026-11-22T02:17Z"
    )
