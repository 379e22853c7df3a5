"""What a policy may say of hooks, each mistake at its place, and the value it comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.grants import ASSUMED, EVERYTHING, Grant
from reconciler.model.hooks import Hook, HookCommand, OnError
from reconciler.model.policy import BackupPolicy
from reconciler.policy import grants
from reconciler.policy.drafts import Draft
from reconciler.policy.language import BackupPolicyDocument
from reconciler.policy.nodes import YamlDocument, plain_value
from reconciler.policy.reading import read_file
from reconciler.policy.values import make_policy
from tests.unit.policy.test_model import POLICY
from tests.unit.policy.yamltexts import MAIN, SHOP, config, messages, parse

PODS = "pods: {matchLabels: {app: mongo}}"
LATER = "is not supported yet"


def hooked(*hooks: str) -> str:
    """The smallest policy with these hooks, each in flow style on a line of its own."""
    return SHOP + "  hooks:\n" + "".join(f"    - {hook}\n" for hook in hooks)


def wrong(*hooks: str) -> list[str]:
    """Everything that is told of them but that they are not executed yet."""
    return [line for line in messages(parse(MAIN, hooked(*hooks))) if LATER not in line]


def value(*hooks: str) -> tuple[Hook, ...]:
    """What the language makes of them, whatever this version executes."""
    assert not wrong(*hooks)
    (document,) = read_file("a.yaml", hooked(*hooks).encode())
    assert document.root is not None
    part = BackupPolicyDocument.model_validate(plain_value(document.root))
    return make_policy(part, "main").hooks


def test_a_hook_with_every_word() -> None:
    (found,) = value(
        "{name: quiesce, " + PODS + ", container: mongo, once: true,"
        ' pre: {command: [mongosh, "db.fsyncLock()"], timeout: 2m, onError: Continue},'
        ' post: {command: [mongosh, "db.fsyncUnlock()"]}}'
    )
    assert found == Hook(
        name="quiesce",
        match_labels={"app": "mongo"},
        container="mongo",
        once=True,
        pre=HookCommand(("mongosh", "db.fsyncLock()"), 120, OnError.CONTINUE),
        post=HookCommand(("mongosh", "db.fsyncUnlock()"), 60, OnError.FAIL),
    )


def test_hooks_keep_their_order_and_words_are_never_split() -> None:
    line = "command: [sh, -c, 'a b; c \"d\" $e', '']"
    hooks = value(*(f"{{name: {name}, {PODS}, pre: {{{line}}}}}" for name in "cab"))
    assert [hook.name for hook in hooks] == ["c", "a", "b"]
    assert {hook.pre for hook in hooks} == {HookCommand(("sh", "-c", 'a b; c "d" $e', ""))}
    assert not hooks[0].container


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (f"{{name: a, {PODS}}}", "`hooks` does nothing | give pre, post or both"),
        ("{name: a, pre: {command: [x]}}", "required field `pods` is missing in hooks | "),
        (
            "{name: a, pods: {}, pre: {command: [x]}}",
            "`pods` selects nothing | give matchLabels, such as {app: db}",
        ),
        (
            "{name: a, pods: {matchLabels: {}}, pre: {command: [x]}}",
            "`pods` selects nothing | give matchLabels, such as {app: db}",
        ),
        (f"{{name: A, {PODS}, pre: {{command: [x]}}}}", "`name` `A` is not a DNS-1123 label | "),
        (
            f"{{name: a, {PODS}, container: ../b, pre: {{command: [x]}}}}",
            "`container` `../b` is not a DNS-1123 label | ",
        ),
        (f"{{name: a, {PODS}, pre: {{command: sync now}}}}", "`command` must be a list, not `sync"),
        (f"{{name: a, {PODS}, pre: {{command: []}}}}", "`command` needs at least 1 | "),
        (
            f'{{name: a, {PODS}, post: {{command: ["", x]}}}}',
            '`command` begins without a program | such as ["sync"]; no shell splits a text',
        ),
        (f"{{name: a, {PODS}, pre: {{command: [sleep, 5]}}}}", "`command` must be a text, not a"),
        (
            f"{{name: a, {PODS}, pre: {{command: [{', '.join(['x' * 4000] * 3)}]}}}}",
            "`command` is longer than 8192 bytes | put a script into the image",
        ),
        (
            f"{{name: a, {PODS}, pre: {{command: [x], timeout: 61m}}}}",
            "`timeout` `61m` is longer than 1h | the application stands still meanwhile",
        ),
        (
            f"{{name: a, {PODS}, pre: {{command: [x], timeout: 0s}}}}",
            "`timeout` `0s` must be longer than 0 s",
        ),
        (
            f"{{name: a, {PODS}, pre: {{command: [x], onError: Ignore}}}}",
            "`onError` is `Ignore`, not one of Fail, Continue | ",
        ),
        (f"{{name: a, {PODS}, pre: {{command: [x]}}, produce: {{}}}}", "unknown field `produce`"),
    ],
)
def test_each_mistake_has_its_words(hook: str, told: str) -> None:
    (only,) = wrong(hook)
    line, _, text = only.partition(" ")
    assert line.startswith("17:")
    assert told in text


def test_two_hooks_of_one_name() -> None:
    one = f"{{name: a, {PODS}, pre: {{command: [x]}}}}"
    (only,) = wrong(one, one)
    assert "`hooks` has two named a | give each its own name" in only


def test_hold_is_understood_and_refused() -> None:
    hook = f"{{name: a, {PODS}, hold: {{command: [psql], ready: ok}}}}"
    assert not wrong(hook)
    told = messages(parse(MAIN, hooked(hook)))
    assert len(told) == 1
    assert LATER in told[0]


def limited(policy: BackupPolicy, grant: Grant | None) -> BackupPolicy:
    """The policy as its folder's grant leaves it."""
    return grants.limit(Draft(file="a.yaml", yaml=YamlDocument(0, 1), grant=grant), policy)


def test_the_grants_namespaces_travel_with_the_hooks() -> None:
    hooks = value(f"{{name: a, {PODS}, pre: {{command: [x]}}}}")
    policy = replace(POLICY, hooks=hooks)
    assert limited(policy, Grant(path="a", hooks=("shop", "db-*"))).hooks_within == ("shop", "db-*")
    assert limited(policy, Grant(path="a")).hooks_within == ()
    for grant in (None, EVERYTHING[0], ASSUMED[0]):
        assert limited(policy, grant) == policy


def test_a_grant_of_config_that_gives_as_much_as_a_plan_assumes_keeps_its_hooks() -> None:
    hooks = value(f"{{name: a, {PODS}, pre: {{command: [x]}}}}")
    given = replace(ASSUMED[0])
    assert given == ASSUMED[0]
    kept = limited(replace(POLICY, hooks=hooks), given)
    assert kept.hooks_within == given.hooks
    turned = replace(given, hooks=given.hooks[::-1])
    other = limited(replace(POLICY, hooks=hooks), turned)
    assert kept == replace(other, hooks_within=given.hooks), "in whatever order Config names them"


def test_a_policy_without_hooks_is_the_same_whatever_hooks_its_grant_gives() -> None:
    grant = Grant(path="a", hooks=("shop",))
    assert limited(POLICY, grant) == limited(POLICY, replace(grant, hooks=()))


@pytest.mark.parametrize("namespaces", ["[shop]", '["*"]', '["kube-*"]', "{matchLabels: {a: b}}"])
def test_without_a_config_no_hook_is_refused_that_some_grant_may_allow(namespaces: str) -> None:
    text = hooked(f"{{name: a, {PODS}, pre: {{command: [x]}}}}").replace("[shop]", namespaces)
    found = parse(MAIN, text, config=replace(config(), grants=ASSUMED, shared_key_in_tenants=True))
    assert [line for line in messages(found) if LATER not in line] == []
    refused = parse(MAIN, text, config=replace(config(), shared_key_in_tenants=True))
    assert "hooks may not run" in "\n".join(messages(refused))
