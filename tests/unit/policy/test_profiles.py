"""Profiles: what a policy gets from one, what replaces it, and what is told where."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.policy import Profile, Retention, Schedule
from reconciler.policy import parse_files
from reconciler.policy.language import BackupPolicySpec
from reconciler.policy.nodes import Mapping, Node, Scalar, Sequence, plain_value
from reconciler.policy.parsing import draft_files
from reconciler.policy.profiles import merge
from reconciler.policy.reading import read_file
from reconciler.policy.resolving import Profiles, Referred
from tests.unit.policy.yamltexts import (
    CONFIG,
    GOLD,
    HEAD,
    MAIN,
    SHOP,
    config,
    messages,
    parse,
    parse_policy,
)

SMALL = (
    HEAD
    + """\
kind: BackupPolicy
metadata: {name: shop}
spec:
  profile: gold
  selector: {namespaces: [shop]}
"""
)


def tree(text: str) -> Mapping:
    root = read_file("x.yaml", text.encode())[0].root
    assert isinstance(root, Mapping)
    return root


def merged(policy: str, profile: str) -> object:
    """The merged spec of two flow mappings, as plain values."""
    found = merge(tree(f"spec: {policy}\n"), tree(f"spec: {profile}\n")).root
    value = plain_value(found)
    assert isinstance(value, dict)
    return value["spec"]


def test_a_profile_gives_what_the_policy_leaves_out() -> None:
    (policy,) = parse(MAIN, GOLD, SMALL).policies
    assert policy.schedule == Schedule("17 4 * * *", "Europe/Berlin")
    assert policy.retention == Retention(keep_daily=30, keep_monthly=12)
    assert policy.volumes.concurrency == 2
    assert policy.volumes.repository == "main"
    whole = SHOP.replace(
        'schedule: "17 4 * * *"', 'schedule: {cron: "17 4 * * *", timeZone: Europe/Berlin}'
    )
    whole = whole.replace("Direct}", "Direct, concurrency: 2}")
    assert policy == parse_policy(
        whole.replace("{keepDaily: 7}", "{keepDaily: 30, keepMonthly: 12}")
    )


@pytest.mark.parametrize(
    ("policy", "profile", "expected"),
    [
        ("{suspend: true}", "{suspend: false}", {"suspend": True}),
        (
            '{schedule: "1 2 * * *"}',
            "{schedule: {timeZone: Etc/UTC, cron: x}}",
            {"schedule": {"cron": "1 2 * * *", "timeZone": "Etc/UTC"}},
        ),
        (
            "{schedule: {timeZone: Europe/Berlin}}",
            '{schedule: "1 2 * * *"}',
            {"schedule": {"timeZone": "Europe/Berlin", "cron": "1 2 * * *"}},
        ),
        ('{schedule: "a"}', '{schedule: "b"}', {"schedule": {"cron": "a"}}),
        (
            "{selector: {namespaces: [shop]}}",
            '{selector: {namespaces: {names: [x], exclude: ["*-dev"]}, objects: {a: b}}}',
            {
                "selector": {
                    "namespaces": {"names": ["shop"], "exclude": ["*-dev"]},
                    "objects": {"a": "b"},
                }
            },
        ),
        # as a whole: retention, lists, labels
        (
            "{retention: {keepLast: 1}}",
            "{retention: {keepDaily: 7}}",
            {"retention": {"keepLast": 1}},
        ),
        ("{retention: {}}", "{retention: {keepDaily: 7}}", {"retention": {}}),
        ("{hooks: []}", "{hooks: [{name: x}]}", {"hooks": []}),
        (
            "{hooks: [{name: a}]}",
            "{hooks: [{name: a, container: b}, {name: c}]}",
            {"hooks": [{"name": "a"}]},
        ),
        ("{volumes: {rules: [1]}}", "{volumes: {rules: [2, 3]}}", {"volumes": {"rules": [1]}}),
        (
            "{clusters: {matchLabels: {a: b}}}",
            "{clusters: {matchLabels: {c: d}, names: [x]}}",
            {"clusters": {"matchLabels": {"a": "b"}, "names": ["x"]}},
        ),
        # what is broken is left to the check
        ("{volumes: 1}", "{volumes: {concurrency: 2}}", {"volumes": 1}),
        ("{volumes: {a: 1}}", "{volumes: [2]}", {"volumes": {"a": 1}}),
        ("{unknown: 1}", "{}", {"unknown": 1}),
    ],
)
def test_what_replaces_what(policy: str, profile: str, expected: object) -> None:
    assert merged(policy, profile) == expected


def leaf(path: tuple[str, ...]) -> str:
    """``{a: {b: VALUE}}`` of a path."""
    return "{" + ": {".join(path) + ": V" + "}" * len(path)


PATHS = [("suspend",), ("schedule", "cron"), ("volumes", "rules"), ("manifests", "secrets"),
         ("selector", "objects", "include"), ("guards", "maxShrink")]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(PATHS, 2)))
def test_fields_that_only_one_gives_are_all_there(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    found = merge(tree(f"spec: {leaf(one)}\n"), tree(f"spec: {leaf(other)}\n"))
    for path, inherited in ((one, False), (other, True)):
        assert at(found.root, ("spec", *path)) == "V"
        assert found.inherited(("spec", *path)) is inherited


def at(node: Node, path: tuple[str, ...]) -> object:
    for step in path:
        assert isinstance(node, Mapping)
        node = node.values[step]
    assert isinstance(node, Scalar)
    return node.value


def test_merging_changes_neither() -> None:
    policy = tree("spec: {schedule: x, volumes: {concurrency: 1}}\n")
    profile = tree("spec: {schedule: {timeZone: y}, volumes: {exclude: [z]}}\n")
    before = plain_value(policy), plain_value(profile)
    merge(policy, profile)
    assert (plain_value(policy), plain_value(profile)) == before


def test_every_part_of_a_policy_is_merged_as_the_documents_say() -> None:
    wholes = {
        info.alias
        for info in BackupPolicySpec.model_fields.values()
        if getattr(info.annotation, "whole", False)
    }
    assert wholes == {"retention"}


def test_a_profile_alone_needs_nothing() -> None:
    parsed = parse(f"{HEAD}kind: Profile\nmetadata: {{name: x}}\nspec: {{}}\n")
    assert not parsed.problems
    (document,) = parsed.documents
    assert document.value == Profile(name="x")


def test_a_profiles_value_changes_with_what_it_gives() -> None:
    first, second = parse(GOLD).documents[0], parse(GOLD.replace("30", "31")).documents[0]
    assert first.digest != second.digest
    assert isinstance(first.value, Profile)
    assert first.value.gives["schedule.timeZone"] == '"Europe/Berlin"'
    assert first.value.gives["retention.keepDaily"] == "30"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "concurrency: 2",
            "concurrencyy: 2",
            "6:33 unknown field `concurrencyy` in volumes | did",
        ),
        ("concurrency: 2", "concurrency: 200", "6:46 `concurrency` must be at most 64"),
        ("30", '"30"', "7:26 `keepDaily` must be a whole number, not a text | remove the quotes"),
        ("17 4 * * *", "17 25 * * *", "5:20 `cron` `17 25 * * *` has 25 for the hour"),
        ("volumes:", "profile: silver\n  volumes:", "6:3 unknown field `profile` in spec"),
        ("volumes:", "renamedFrom: x\n  volumes:", "6:3 unknown field `renamedFrom` in spec"),
        ("volumes: {", "volumes: {rules: [{match: {}}], ", "has no condition"),
        (
            "volumes: {",
            "volumes: {rules: [{match: {}}], ",
            "required field `copyMethod` is missing",
        ),
        ("Direct", "Auto", "6:25 `copyMethod: Auto` is not supported yet"),
        ("spec:", "specs:", "required field `spec` is missing"),
        ("name: gold", "named: gold", "required field `name` is missing in metadata"),
    ],
)
def test_a_broken_profile_is_told_and_holds_its_policies(old: str, new: str, expected: str) -> None:
    parsed = parse(GOLD.replace(old, new), MAIN, SMALL, SHOP.replace("name: shop", "name: other"))
    assert expected in "\n".join(messages(parsed))
    assert {problem.document for problem in parsed.problems} == {0}
    assert [policy.name for policy in parsed.policies] == ["other"]
    policy = parsed.document("BackupPolicy", "shop")
    assert policy is not None
    assert policy.value is None
    place = f"a.yaml:{parsed.problems[0].line}"
    known = f"its Profile gold has a problem, {place}"
    assert policy.held in {known, "its Profile may be in a.yaml:3, which has a problem"}


def test_a_missing_profile_is_the_policys_problem() -> None:
    parsed = parse(MAIN, GOLD, SMALL.replace("profile: gold", "profile: golf"))
    (problem,) = parsed.problems
    assert str(problem) == "a.yaml:20:12: error: Profile `golf` does not exist"
    assert problem.hint == "did you mean `gold`?"
    (problem,) = parse(MAIN, SMALL).problems
    assert problem.hint == "add a document of kind Profile, or check the whole folder"


def test_the_profile_may_be_in_a_document_that_nobody_can_read() -> None:
    parsed = parse_files({"a.yaml": b"kind: [", "b.yaml": f"{MAIN}---\n{SMALL}".encode()})
    assert {problem.file for problem in parsed.problems} == {"a.yaml"}
    policy = parsed.document("BackupPolicy", "shop")
    assert policy is not None
    assert policy.held == "its Profile may be in a.yaml:1, which has a problem"


@pytest.mark.parametrize(
    ("gold", "small", "expected"),
    [
        # missing in both
        (
            GOLD.replace("  retention: {keepDaily: 30, keepMonthly: 12}\n", ""),
            SMALL,
            "18:1 required field `retention` is missing in spec | ",
        ),
        (
            GOLD.replace('cron: "17 4 * * *", ', ""),
            SMALL,
            "20:12 required field `cron` is missing in schedule, from Profile gold, a.yaml:12 | ",
        ),
        (
            GOLD.replace("copyMethod: Direct, ", ""),
            SMALL,
            "20:12 `volumes.copyMethod` must be given: its default, Auto, is not supported yet",
        ),
        # right in each, wrong together
        (
            GOLD.replace("volumes: {", "volumes: {repository: other, "),
            SMALL,
            "20:12 Repository `other` does not exist, from Profile gold, a.yaml:13 | there is only",
        ),
        (
            GOLD,
            SMALL.replace("[shop]", "{exclude: [x]}"),
            "21:14 `namespaces` selects nothing | give names or matchLabels",
        ),
        # the policy's own mistakes are told where they are, once
        (GOLD, f"{SMALL}  retention: {{keepDaly: 1}}\n", "22:15 unknown field `keepDaly`"),
        (
            GOLD,
            f"{SMALL}  retention: {{}}\n",
            "22:3 `retention` is empty, which would keep nothing",
        ),
        (GOLD, f"{SMALL}  suspend: maybe\n", "22:12 `suspend` must be true or false"),
        (GOLD, SMALL.replace("gold", "[gold]"), "`profile` must be a text"),
    ],
)
def test_policy_and_profile_together_must_be_valid(gold: str, small: str, expected: str) -> None:
    parsed = parse(MAIN, gold, small)
    found = [line for line in messages(parsed) if expected.split("|")[0].strip() in line]
    assert len(found) == 1, messages(parsed)
    assert expected.strip() in found[0] + " "
    assert {problem.document for problem in parsed.problems} == {2}
    broken = parsed.document("BackupPolicy", "shop")
    assert broken is not None
    assert (broken.value, broken.held) == (None, "")


def test_direct_from_a_profile_needs_the_word_of_config() -> None:
    parsed = parse(MAIN, GOLD, SMALL, config=config())
    (problem,) = parsed.problems
    assert problem.message.endswith("tenant's namespace, from Profile gold, a.yaml:13")
    assert (problem.line, problem.path) == (20, "spec.volumes.copyMethod")
    assert not parse(
        MAIN, GOLD, f"{SMALL}  volumes: {{copyMethod: Skip}}\n", config=config()
    ).problems
    allowed = config(f"{CONFIG}sharedKeyInTenants: true\n")
    assert not parse(MAIN, GOLD, SMALL, config=allowed).problems


def test_two_profiles_of_one_name_hold_their_policies() -> None:
    parsed = parse(MAIN, GOLD, GOLD, SMALL)
    assert [problem.document for problem in parsed.problems] == [1, 2]
    policy = parsed.document("BackupPolicy", "shop")
    assert policy is not None
    assert policy.held == "its Profile gold has a problem, a.yaml:10"


@pytest.mark.parametrize("field", ["suspend", "schedule", "volumes", "objectives: {rpo", "profile"])
def test_a_field_without_a_value_is_a_problem(field: str) -> None:
    close = "}" if "{" in field else ""
    parsed = parse(MAIN, GOLD, SMALL.replace("  profile: gold\n", "") + f"  {field}: {close}\n")
    name = field.rpartition("{")[2]
    assert [p for p in parsed.problems if p.line == 21 and f"`{name}` is empty" in p.message]


def test_empty_retention_is_no_retention() -> None:
    parsed = parse(MAIN, SHOP.replace("keepDaily: 7", "keepDaily: "))
    assert messages(parsed) == [
        "15:3 `retention` is empty, which would keep nothing | such as {keepDaily: 7}",
        "15:15 `keepDaily` is empty | give a value, or leave it out",
    ]


def test_a_list_is_no_short_form_of_a_schedule() -> None:
    assert isinstance(tree("a: [b]\n").values["a"], Sequence)
    (problem,) = parse(MAIN, GOLD, f"{SMALL}  schedule: [x]\n").problems
    assert problem.message == "`schedule` must be a mapping"


def test_a_large_profile_and_many_policies_do_not_cost_their_product() -> None:
    small = [SMALL.replace("name: shop", f"name: shop-{number}") for number in range(4)]
    drafts = draft_files({"a.yaml": "---\n".join([GOLD, MAIN, *small]).encode()})
    profiles = Profiles(Referred.among("Profile", drafts), limit=2 * drafts[0].yaml.count)
    for draft in drafts[2:]:
        assert not draft.found
        draft.profile = None
        profiles.inherit(draft, "gold")
    assert [draft.profile is not None for draft in drafts[2:]] == [True, True, False, False]
    message = f"profiles give policies more than {profiles.limit} values in all"
    assert [p.message for draft in drafts[4:] for p in draft.found] == [message, message]


FIELDS = {
    "schedule.cron": ('"1 1 * * *"', '"2 2 * * *"'),
    "schedule.timeZone": ("Europe/Berlin", "Asia/Tokyo"),
    "objectives.rpo": ("26h", "2d"),
    "selector.namespaces.names": ("[a]", "[b, c]"),
    "selector.namespaces.exclude": ("[d]", '["e-*"]'),
    "volumes.copyMethod": ("Direct", "Skip"),
    "volumes.concurrency": ("1", "2"),
    "retention": ("{keepDaily: 1}", "{keepLast: 2, keepYearly: 3}"),
    "suspend": ("true", "false"),
}
"""Field → two values of it."""
NEEDED = {"schedule.cron", "selector.namespaces.names", "volumes.copyMethod", "retention"}
WHO = st.sampled_from(["nobody", "policy", "profile", "both"])


def nested(given: dict[str, str]) -> str:
    """Dotted fields as a flow mapping."""
    below: dict[str, dict[str, str]] = {}
    for path, value in given.items():
        head, _, rest = path.partition(".")
        below.setdefault(head, {})[rest] = value
    inner = (f"{head}: {rest.get('') or nested(rest)}" for head, rest in below.items())
    return f"{{{', '.join(inner)}}}"


@settings(max_examples=25, derandomize=True)
@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, WHO)), st.booleans())
def test_each_field_is_the_policys_or_else_the_profiles(who: dict[str, str], late: bool) -> None:
    who |= {name: "profile" for name in NEEDED if who[name] == "nobody"}
    mine = {n: FIELDS[n][0] for n in FIELDS if who[n] in {"policy", "both"}}
    theirs = {n: FIELDS[n][1] for n in FIELDS if who[n] in {"profile", "both"}}
    head = f"{HEAD}metadata: {{name: x}}\nkind: "
    profile = f"{head}Profile\nspec: {nested(theirs)}\n"
    policy = f"{head}BackupPolicy\nspec: {nested({'profile': 'x'} | mine)}\n"
    whole = f"{head}BackupPolicy\nspec: {nested(theirs | mine)}\n"
    order = [policy, MAIN, profile] if late else [profile, policy, MAIN]
    assert parse(*order).policies == parse(MAIN, whole).policies
    assert len(parse(*order).policies) == 1


def test_the_order_of_files_and_other_policies_change_nothing() -> None:
    other = SHOP.replace("name: shop", "name: other")
    texts = [MAIN, GOLD, SMALL, f"{other}---\n{HEAD}kind: x\n"]
    expected = parse(MAIN, GOLD, SMALL).policies[0]
    for order in itertools.permutations(range(len(texts))):
        files = {f"{place}.yaml": texts[number].encode() for place, number in enumerate(order)}
        found = parse_files(files).document("BackupPolicy", "shop")
        assert found is not None
        assert found.value == expected
