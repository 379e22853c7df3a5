"""Mistakes of somebody new, who comes from other tools: what each one is told to do next."""

from __future__ import annotations

import pytest

from reconciler.model.errors import InvalidInput
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP, config, parse

SPEC = "spec:\n"
MISTAKES = (
    # A field that stands somewhere else is shown its place.
    ("{name: shop}", "{name: shop, spec: {suspend: true}}", "unknown field `spec` in metadata",
     "it stands at the top, as `kind` does"),
    (SPEC, "spec:\n  copyMethod: Direct\n", "unknown field `copyMethod` in spec",
     "it belongs into `volumes`"),
    (SPEC, "spec:\n  keepDaily: 7\n", "unknown field `keepDaily` in spec",
     "it belongs into `retention`"),
    ("{namespaces: [shop]}", "{matchLabels: {a: b}, namespaces: [shop]}",
     "unknown field `matchLabels` in selector",
     "it belongs into `selector.namespaces` or `selector.objects`"),
    ("[shop]", "{names: [shop], schedule: x}", "unknown field `schedule` in namespaces",
     "it belongs into `spec`"),
    # A word that only looks alike is not proposed where another one is meant.
    ("[shop]", "{include: [shop]}", "unknown field `include` in namespaces",
     "did you mean `names`?"),
    ("name: shop", "name: shop, namespace: velero", "unknown field `namespace` in metadata",
     "leave it out: what lies in Git is in no namespace"),
    (SPEC, "spec:\n  includedNamespaces: [shop]\n", "unknown field `includedNamespaces` in spec",
     "`selector.namespaces` does that here"),
    (SPEC, "spec:\n  ttl: 720h\n", "unknown field `ttl` in spec", "`retention` does that here"),
    # A value of the wrong kind.
    ("[shop]", "shop", "`namespaces` must be a list or a mapping, not `shop`",
     "write a list of names, such as [shop]"),
    ("{keepDaily: 7}", "30d", "`retention` must be a mapping, not `30d`",
     "such as {keepDaily: 7, keepWeekly: 5}"),
    ("[shop]", "{names: shop}", "`names` must be a list, not `shop`", "write [shop]"),
    ("{namespaces: [shop]}", "[shop]", "`selector` must be a mapping",
     "it has namespaces, objects"),
    (SPEC, "spec:\n  objectives: {rpo: 24}\n", "`rpo` `24` has no unit", "such as 26h"),
    (SPEC, "spec:\n  suspend: yes\n", "`yes` is read as a string by YAML 1.2", "write true"),
    # Schedules.
    ("17 4 * * *", "daily", "`cron` `daily` has 1 field, not five", "did you mean @daily?"),
    ("17 4 * * *", "6h", "`cron` `6h` has 1 field, not five",
     "times, not a span: such as H */6 * * *"),
    ("17 4 * * *", "? 4 * * *", "`cron` `? 4 * * *` has `?` for the minute",
     "write a number, or `H`"),
    # YAML.
    (SPEC, "spec:\n  suspend: false\n   extra: x\n", "not YAML: ", "indent it as its neighbours"),
    ("[shop]", "[*]", "not YAML: expected alphabetic or numeric", "quote it"),
    ("[shop]", "[shop", "not YAML: ", "a bracket or quote is not closed"),
    (SPEC, "spec:\n  hooks: [{name: a, pods: {}, pre: {command: sync && x}}]\n",
     "`command` must be a list", "no shell reads it: write its words, such as [sh, -c, sync]"),
    # A file of another tool.
    ("backstay.dev/v1alpha1", "velero.io/v1", "apiVersion is `velero.io/v1`: not one of Backstay's",
     "keep other tools' files out of the policy folder, or write backstay.dev/v1alpha1"),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "hint"), MISTAKES, ids=lambda text: text[:30])
def test_a_mistake_says_what_to_do(old: str, new: str, message: str, hint: str) -> None:
    assert old in SHOP
    told = [
        (one.message, one.hint)
        for one in parse(MAIN, SHOP.replace(old, new, 1)).problems
        if one.message.startswith(message)
    ]
    assert told, parse(MAIN, SHOP.replace(old, new, 1)).problems
    assert told[0][1].startswith(hint)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("{name: prod-eu}", "prod-eu", "write {name: prod-eu}"),
        ("policySource: {", "policySource: {interval: 60, ", "such as 1m"),
        ("policySource: {", "policySource: {branch: main, ", "did you mean `ref`?"),
    ],
)
def test_a_mistake_in_config_says_what_to_do(old: str, new: str, hint: str) -> None:
    assert old in CONFIG
    with pytest.raises(InvalidInput) as raised:
        config(CONFIG.replace(old, new))
    assert hint in [one.hint for one in raised.value.problems]


def test_what_can_not_stand_there_is_not_asked_for() -> None:
    for broken in (SHOP.partition("spec:")[0], SHOP.replace("{copyMethod: Direct}", "Direct")):
        told = [one.message for one in parse(MAIN, broken).problems]
        assert len(told) == 1, told
