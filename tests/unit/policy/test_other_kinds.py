"""Exemption and Restore: checked to the last field."""

from __future__ import annotations

import pytest

from reconciler.model.policy import ClusterSelector, Exemption, NamespaceSelector
from reconciler.model.restoreintent import (
    ExistingPolicy,
    Restore,
    RestoreSource,
    RestoreVolumes,
)
from tests.unit.policy.yamltexts import EXEMPT, HEAD, RESTORE, messages, parse

FULL = (
    HEAD
    + """\
kind: Restore
metadata: {name: shop-after-incident-42}
spec:
  cluster: prod-eu
  from: {policy: shop, at: 2026-11-21T02:00:00Z, cluster: prod-us}
  selector:
    namespaces: [shop]
    matchLabels: {app.kubernetes.io/part-of: checkout}
    claims: ["data-*"]
    paths: [etc/app.conf]
  mapNamespaces: {shop: shop-restored}
  volumes: InPlace
  existingResourcePolicy: Update
"""
)


def test_a_restore_with_every_field() -> None:
    parsed = parse(FULL)
    assert parsed.problems == ()
    assert parsed.restores == (
        Restore(
            name="shop-after-incident-42",
            cluster="prod-eu",
            source=RestoreSource(policy="shop", at="2026-11-21T02:00:00Z", cluster="prod-us"),
            namespaces=("shop",),
            match_labels={"app.kubernetes.io/part-of": "checkout"},
            claims=("data-*",),
            paths=("etc/app.conf",),
            map_namespaces={"shop": "shop-restored"},
            volumes=RestoreVolumes.IN_PLACE,
            existing=ExistingPolicy.UPDATE,
        ),
    )


def test_the_smallest_restore() -> None:
    (restore,) = parse(RESTORE).restores
    assert (restore.volumes, restore.existing) == (RestoreVolumes.NEW, ExistingPolicy.KEEP)
    assert (restore.namespaces, restore.map_namespaces) == ((), {})


def test_a_run_names_its_policy() -> None:
    text = RESTORE.replace(
        "policy: shop, at: 2026-11-21T02:00:00Z", "run: a-b-20261121-041703-7c1e9"
    )
    (restore,) = parse(text).restores
    assert restore.source == RestoreSource(policy="a-b", run="a-b-20261121-041703-7c1e9")


@pytest.mark.parametrize(
    "point",
    [
        "{policy: shop, at: 2026-11-21}",
        '{policy: shop, at: "2026-11-21T02:00:00.5+01:00"}',
        "{run: shop-20261121-041703-7c1e9}",
        "{policy: shop, run: shop-20261121-041703-7c1e9}",
        "{policy: shop, commit: 5b0ee6d73a}",
    ],
)
def test_recovery_points(point: str) -> None:
    text = FULL.replace("{policy: shop, at: 2026-11-21T02:00:00Z, cluster: prod-us}", point)
    parsed = parse(text)
    assert parsed.problems == ()
    assert parsed.restores[0].source.policy == "shop"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("at: 2026-11-21T02:00:00Z", "at: latest", "`at` `latest` is not a date or a time"),
        ("at: 2026-11-21T02:00:00Z", "at: 2026-11-21T02:00:00", "has no time zone | write 2026"),
        ("at: 2026-11-21T02:00:00Z", "at: 2026-11-31", "`at` `2026-11-31` is no such date"),
        ("at: 2026-11-21T02:00:00Z", "at: 2026-11-21T25:00:00Z", "is no such date"),
        (", at: 2026-11-21T02:00:00Z", "", "`from` needs exactly one of at, run and commit"),
        ("Z, cl", "Z, commit: 5b0ee6d73a, cl", "`from` needs exactly one of at, run and commit"),
        ("policy: shop, ", "", "`from` has at without policy | name the policy"),
        (
            "policy: shop, at: 2026-11-21T02:00:00Z",
            "commit: 5b0ee6d73a",
            "has commit without policy",
        ),
        ("at: 2026-11-21T02:00:00Z", "run: shop", "`run` `shop` is not a run's name | such as"),
        ("at: 2026-11-21T02:00:00Z", "commit: HEAD", "`commit` `HEAD` is not a commit"),
        ("{shop: shop-restored}", "{shop: shop}", "maps shop to itself | leave it out"),
        ("{shop: shop-restored}", "{shop: b, cart: b}", "has two namespaces that would become b"),
        ("{shop: shop-restored}", "{Shop: b}", "`Shop` is not a DNS-1123 label"),
        ("etc/app.conf", "/etc/app.conf", "leaves the volume"),
        ("InPlace", "Inplace", "not one of New, InPlace, Skip | did you mean `InPlace`?"),
        ("  cluster: prod-eu\n", "", "required field `cluster` is missing in spec"),
        ("existingResourcePolicy", "existingResourcesPolicy", "mean `existingResourcePolicy`?"),
    ],
)
def test_mistakes_in_a_restore(old: str, new: str, expected: str) -> None:
    assert old in FULL
    found = messages(parse(FULL.replace(old, new, 1)))
    assert expected in "\n".join(found)


def test_the_value_of_an_exemption() -> None:
    text = f"{EXEMPT}  clusters: [dev]\n"
    for written, meant in (
        ("2027-03-31", "2027-03-31T23:59:59Z"),
        ('"2027-03-31T12:00:00+02:00"', "2027-03-31T10:00:00Z"),
    ):
        parsed = parse(text.replace("2027-03-31", written))
        assert parsed.problems == ()
        assert parsed.exemptions == (
            Exemption(
                name="scratch",
                namespaces=NamespaceSelector(names=("scratch-*",)),
                reason="rebuilt every night",
                owner="team-ci",
                expires=meant,
                clusters=ClusterSelector(names=("dev",)),
            ),
        )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  reason: rebuilt every night\n", "", "required field `reason` is missing in spec"),
        ("  owner: team-ci\n", "", "required field `owner` is missing in spec"),
        ("  expires: 2027-03-31\n", "", "required field `expires` is missing in spec"),
        ("2027-03-31", "never", "`expires` `never` is not a date or a time | such as 2027-03-31"),
        ("2027-03-31", "2027-02-30", "is no such date"),
        ("team-ci", '""', "`owner` is empty"),
        ('namespaces: ["scratch-*"]', "claims: [a]", "required field `namespaces` is missing"),
        ('["scratch-*"]', "[]", "`namespaces` selects nothing"),
    ],
)
def test_mistakes_in_an_exemption(old: str, new: str, expected: str) -> None:
    assert old in EXEMPT
    assert expected in "\n".join(messages(parse(EXEMPT.replace(old, new, 1))))
