"""A fleet shares one policy repository: which cluster takes which policy, and why not."""

from __future__ import annotations

import pytest

from reconciler.model.config import Config
from reconciler.model.policy import ClusterSelector, Document
from tests.unit.policy.yamltexts import CONFIG, GOLD, HEAD, MAIN, SHOP, config, messages, parse

ALLOWED = f"{CONFIG}sharedKeyInTenants: true\n"


def here(labels: str = "env: prod, region: eu", text: str = ALLOWED) -> Config:
    """The cluster prod-eu with these labels."""
    return config(text.replace("{name: prod-eu}", f"{{name: prod-eu, labels: {{{labels}}}}}"))


def shop(clusters: str) -> str:
    return f"{SHOP}  clusters: {clusters}\n"


def shop_document(clusters: str, chosen: Config | None) -> Document:
    parsed = parse(MAIN, shop(clusters), config=chosen)
    assert not parsed.problems, messages(parsed)
    found = parsed.document("BackupPolicy", "shop")
    assert found is not None
    assert found.value is not None
    assert [policy.name for policy in parsed.policies] == ([] if found.elsewhere else ["shop"])
    assert found not in parsed.broken
    return found


@pytest.mark.parametrize(
    "clusters",
    [
        "[prod-eu]",
        '["dev", "prod-*"]',
        '{names: ["*"], exclude: ["dev-*"]}',
        "{matchLabels: {env: prod}}",
        "{matchLabels: {env: prod, region: eu}}",
        "{names: [prod-eu], matchLabels: {env: prod}}",
    ],
)
def test_a_cluster_takes_what_chooses_its_name_and_labels(clusters: str) -> None:
    assert shop_document(clusters, here()).elsewhere == ""


@pytest.mark.parametrize(
    ("clusters", "why"),
    [
        ("[dev]", "it is for clusters named dev, and this one is prod-eu"),
        ('[dev, "*-us"]', "it is for clusters named dev or *-us, and this one is prod-eu"),
        ("{matchLabels: {env: dev}}", "it is for clusters with env=dev, and prod-eu has env=prod"),
        (
            "{matchLabels: {env: prod, zone: a}}",
            "it is for clusters with zone=a, and prod-eu has no label zone",
        ),
        (
            "{names: [prod-eu], matchLabels: {env: dev}}",
            "it is for clusters with env=dev, and prod-eu has env=prod",
        ),
        ('{names: ["*"], exclude: [prod-eu]}', "it leaves out cluster prod-eu"),
        ('{matchLabels: {env: prod}, exclude: ["prod-*"]}', "it leaves out cluster prod-eu"),
    ],
)
def test_a_cluster_leaves_to_others_what_does_not(clusters: str, why: str) -> None:
    found = shop_document(clusters, here())
    assert found.elsewhere == why
    assert found.digest


def test_without_a_config_every_policy_is_taken() -> None:
    assert shop_document("[dev]", None).elsewhere == ""


def test_what_this_cluster_does_not_allow_is_no_problem_of_a_policy_for_another() -> None:
    strict = here(text=CONFIG)
    assert shop_document("[dev]", strict).elsewhere
    assert len(parse(MAIN, shop("[prod-eu]"), config=strict).problems) == 1


def test_a_profile_may_choose_clusters_and_a_policy_choose_others() -> None:
    gold = f"{GOLD}  clusters: {{matchLabels: {{env: dev}}}}\n"
    small = (
        f"{HEAD}kind: BackupPolicy\nmetadata: {{name: shop}}\n"
        "spec: {profile: gold, selector: {namespaces: [a]}%s}\n"
    )
    assert not parse(MAIN, gold, small % "", config=here()).policies
    assert parse(MAIN, gold, small % "", config=here("env: dev")).policies
    assert parse(
        MAIN, gold, small % ", clusters: {matchLabels: {env: prod}}", config=here()
    ).policies
    assert parse(
        MAIN, gold, small % ", clusters: {names: [prod-eu]}", config=here("env: dev")
    ).policies


def test_a_broken_policy_for_another_cluster_says_so() -> None:
    broken = shop("[dev]").replace("keepDaily", "keepDaly")
    parsed = parse(MAIN, broken, config=here())
    found = parsed.document("BackupPolicy", "shop")
    assert len(parsed.problems) == 1
    assert found is not None
    assert (found.value, found.elsewhere != "") == (None, True)
    # where the selector itself is broken, it may be for this one
    parsed = parse(MAIN, shop("[Dev]"), config=here())
    assert [document.elsewhere for document in parsed.documents] == ["", ""]


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        ("{}", "16:3 `clusters` selects no cluster | give names or matchLabels, or leave clusters"),
        ("[]", "16:13 `clusters` selects no cluster"),
        ("{exclude: [dev]}", "16:3 `clusters` selects no cluster"),
        ("prod-eu", "16:13 `clusters` must be a list or a mapping, not `prod-eu`"),
        ("{matchLabel: {a: b}}", "16:14 unknown field `matchLabel` in clusters | did you mean"),
        ("[Prod]", "16:14 `names` `Prod` can match no name"),
    ],
)
def test_mistakes(clusters: str, expected: str) -> None:
    (problem,) = messages(parse(MAIN, shop(clusters), config=here()))
    assert expected in problem


def test_an_empty_selector_is_every_cluster() -> None:
    assert ClusterSelector().why_not("any", {}) == ""
