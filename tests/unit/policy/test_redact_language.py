"""``manifests.redact`` as it is written: what can't apply is refused where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reconciler.capture import redactpolicy, references
from reconciler.model.policy import BackupPolicy
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from reconciler.policy import parse_files
from reconciler.policy.effective import effective_policy
from reconciler.report import effective as report
from tests.unit.policy.test_grants import ADMIN, A, refusals
from tests.unit.policy.yamltexts import CONFIG, HEAD, MAIN, SHOP, config, messages, parse

PAGE = (Path(__file__).parents[3] / "docs/redaction.md").read_text()
PINS = '{name: pins, kinds: [door.example.org], paths: ["spec.users[*].pin", data.x]}'
KEPT = (
    "{name: css, kinds: [configmap], names: [theme], paths: [\"data['a.css']\"], reason: colours}"
)
KEEP = f"  manifests: {{redact: {{keep: [{KEPT}]}}}}\n"
PROFILE = f"{HEAD}kind: Profile\nmetadata: {{name: kept}}\nspec:\n{KEEP}"
GRANTED = config(
    CONFIG
    + """\
sharedKeyInTenants: true
grants:
  - {path: admin, admin: true, namespaces: ["*"], keepInClear: true}
  - {path: teams/a, namespaces: [shop]}
"""
)


def one(path: str, kind: str = "*") -> str:
    rule = f"{{name: r, kinds: ['{kind}'], paths: [{path}]}}"
    return f"{SHOP}  manifests:\n    redact:\n      - {rule}\n"


def test_a_list_stands_for_rules() -> None:
    expected = RedactRule(
        name="pins", kinds=("door.example.org",), paths=("spec.users[*].pin", "data.x")
    )
    for text in (f"[{PINS}]", f"{{rules: [{PINS}]}}"):
        (policy,) = parse(MAIN, f"{SHOP}  manifests: {{redact: {text}}}\n").policies
        assert policy.manifests.redact == Redact(rules=(expected,))
        assert BackupPolicy.from_json(policy.to_json()) == policy


def test_a_policy_that_says_nothing_is_compiled_as_ever() -> None:
    (policy,) = parse(MAIN, SHOP).policies
    assert policy.to_json()["manifests"] == {"secrets": "Restic"}
    (empty,) = parse(MAIN, f"{SHOP}  manifests: {{redact: []}}\n").policies
    assert empty == policy


@pytest.mark.parametrize(
    ("kind", "path", "told", "hint"),
    [
        ("deployment.apps", "spec.template.spec.containers.env", "containers is a list", "[*]"),
        ("deployments.apps", "spec.template.spec.containers[*].env.value", "env is a list", "[*]"),
        ("pod", "spec.containers[*].args.x", "args is a list", "args[*]"),
        ("cronjob.batch", "spec[*].x", "spec is a map", "spec.*"),
        ("ingress.networking.k8s.io", "spec.rules.host", "rules is a list", "rules[*]"),
        ("storageclasses.storage.k8s.io", "'parameters[*]'", "parameters is a map", "parameters.*"),
        ("configmap", "data.a.b", "are texts below data", "data['app.ini']"),
        ("configmaps", "'data[*]'", "are texts below data", "quotes"),
        ("configmap", "spec.x", "has data and binaryData only", "data.password"),
        ("secrets", "data.password", "never in Git", "manifests.secrets"),
        ("persistentvolumeclaim", "spec.x", "a restore reads", "only annotations"),
        ("namespaces", "spec", "a restore reads", "only annotations"),
        ("*", "metadata.name", "found and restored by", "only annotations"),
        ("*", "metadata.labels.app", "found and restored by", "only annotations"),
        ("*", "metadata", "found and restored by", "only annotations"),
        ("*", "metadata.annotations.acme.io", "which is a text", "quotes"),
        ("*", "'metadata.annotations[*]'", "annotations are a map", "quotes"),
        ("*", "\"metadata.annotations['backstay.dev/x']\"", "Backstay's own", ""),
        ("*", "status.token", "can match nothing", "not captured"),
        ("*", "kind", "what an object is", ""),
        ("x.example.org", "'spec.*.a[*].b[*].*'", "more than 3 wildcards", "shorter path"),
        ("x.example.org", "spec..x", "from character 5 on", "one step"),
        ("x.example.org", "'$.spec'", "from character 1 on", "begins with a field"),
    ],
)
def test_what_can_never_apply_is_refused(kind: str, path: str, told: str, hint: str) -> None:
    (problem,) = parse(
        MAIN, one(f'"{path}"' if "[" in path and path[0] not in "'\"" else path, kind)
    ).problems
    assert problem.line == len(f"{MAIN}---\n{one('x')}".splitlines())
    assert problem.column > 20
    assert told in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("deployment.apps", "spec.template.spec.containers[*].env[TOKEN].value"),
        ("deployment.apps", "spec.template.spec.containers[web].args[3]"),
        ("configmap", "data"),
        ("configmap", "data.*"),
        ("secret", "metadata.annotations['example.org/x']"),
        ("*", "metadata.annotations"),
        ("*.example.org", "spec.containers.env"),
        ("*.example.org", "spec.*.containers[*].env[*].value"),
        ("*", "*"),
    ],
)
def test_what_may_apply_is_taken(kind: str, path: str) -> None:
    assert parse(MAIN, one(f'"{path}"', kind)).problems == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"[{PINS}, {PINS}]", "has two named pins"),
        ("[{name: x, kinds: [a], paths: []}]", "`paths`"),
        ("[{name: x, kinds: [], paths: [a]}]", "`kinds`"),
        ("[{name: X, kinds: [a], paths: [a]}]", "DNS-1123"),
        ("[{name: x, kinds: [Deployment], paths: [a]}]", "is not a kind"),
        ("[{name: x, kinds: [a], path: [a]}]", "unknown field `path`"),
        ("{keep: [{name: x, kinds: [a.b], paths: [spec.x]}]}", "`reason` is missing"),
        ("{keep: [{name: x, kinds: [configmap], paths: [data], reason: y1}]}", "single fields"),
        ("{keep: [{name: x, kinds: [secret], paths: [data.x], reason: y1}]}", "never in Git"),
    ],
)
def test_what_is_no_rule(text: str, told: str) -> None:
    assert told in "\n".join(messages(parse(MAIN, f"{SHOP}  manifests: {{redact: {text}}}\n")))


def test_rules_are_bounded() -> None:
    def many(rules: int, paths: int) -> list[str]:
        listed = ", ".join(f"spec.a{number}" for number in range(paths))
        text = ", ".join(f"{{name: r{n}, kinds: [a.b], paths: [{listed}]}}" for n in range(rules))
        return messages(parse(MAIN, f"{SHOP}  manifests: {{redact: [{text}]}}\n"))

    assert many(100, 5) == []
    assert "has more than 500 paths in all" in many(6, 100)[0]
    assert "`rules`" in many(101, 1)[0]
    assert "`paths`" in many(1, 101)[0]


def test_keep_is_granted_to_nobody_by_default() -> None:
    text = SHOP + KEEP
    (told,) = refusals(A, text)
    assert re.match(r"\d+:\d+ .*keep leaves in clear .* keepInClear: true in Config", told)
    (told,) = refusals("admin/x.yaml", text)
    assert "the grant of folder admin needs keepInClear" in told
    plain = parse_files({"m.yaml": MAIN.encode(), "a.yaml": text.encode()}, config())
    assert [one for one in plain.problems if "keep leaves in clear" in one.message]
    assert plain.policies == ()
    assert parse_files({"m.yaml": MAIN.encode(), "a.yaml": text.encode()}, None).problems == ()


def test_the_grant_of_who_says_it_decides() -> None:
    """The platform team keeps something for all; a team does not add to it."""
    files = ADMIN | {"admin/kept.yaml": PROFILE.encode()}
    user = SHOP.replace("spec:\n", "spec:\n  profile: kept\n")
    parsed = parse_files(files | {A: user.encode()}, GRANTED)
    assert parsed.problems == ()
    (policy,) = parsed.policies
    assert policy.manifests.redact is not None
    assert policy.manifests.redact.keep_file == "admin/kept.yaml"
    assert policy.manifests.redact.keep == (
        KeepRule(
            name="css",
            kinds=("configmap",),
            names=("theme",),
            paths=("data['a.css']",),
            reason="colours",
        ),
    )
    own = user + KEEP.replace("a.css", "b.css")
    (told,) = parse_files(files | {A: own.encode()}, GRANTED).problems
    assert "keep leaves in clear" in told.message
    assert "the grant of folder teams/a needs" in told.hint


LIMITED = config(
    CONFIG
    + """\
sharedKeyInTenants: true
grants:
  - {path: admin, admin: true, namespaces: ["*"]}
  - {path: teams/a, namespaces: [shop], keepInClear: true}
"""
)


@pytest.mark.parametrize(
    "kind",
    [
        *sorted(references.CANDIDATES),
        *("namespaces", "storageclasses.storage.k8s.io", "apiservices.apiregistration.k8s.io"),
    ],
)
def test_what_has_no_namespace_is_for_grants_of_all_namespaces(kind: str) -> None:
    """Spelt out it is refused; what a glob means more is passed over in each run."""
    keep = f"{{name: k, kinds: [configmap, {kind}], paths: [PATH], reason: known}}"
    keep = keep.replace("PATH", "\"metadata.annotations['example.org/x']\"")
    text = f"{SHOP}  manifests: {{redact: {{keep: [{KEPT.replace('css', 'c')}, {keep}]}}}}\n"
    (told,) = parse_files(ADMIN | {A: text.encode()}, LIMITED).problems
    assert told.path == "spec.manifests.redact.keep[1].kinds[1]"
    assert told.message == f"keep may leave nothing in clear of {kind}, which has no namespace"
    assert told.hint == (
        'the grant of folder teams/a gives namespaces shop only; it needs namespaces ["*"]'
    )
    everywhere = {"admin/shop.yaml": text.encode()}
    assert parse_files(ADMIN | everywhere, GRANTED).problems == ()


@pytest.mark.parametrize("kind", ['"*"', '"*.storage.k8s.io"', "configmap", "door.example.org"])
def test_globs_and_unknown_kinds_may_be_kept_where_namespaces_are_limited(kind: str) -> None:
    keep = f"{{name: k, kinds: [{kind}], paths: [data.x], reason: known}}"
    text = f"{SHOP}  manifests: {{redact: {{keep: [{keep}]}}}}\n"
    assert parse_files(ADMIN | {A: text.encode()}, LIMITED).problems == ()


def test_the_file_that_says_it_travels_in_the_policy() -> None:
    """Today's grant of that file decides in each run; the policy's own file may be another."""
    (policy,) = parse_files(ADMIN | {"admin/shop.yaml": (SHOP + KEEP).encode()}, GRANTED).policies
    assert policy.manifests.redact is not None
    assert policy.manifests.redact.keep_file == "admin/shop.yaml"
    assert BackupPolicy.from_json(policy.to_json()) == policy
    rules = f"{SHOP}  manifests: {{redact: [{PINS}]}}\n"
    (plain,) = parse_files(ADMIN | {"admin/shop.yaml": rules.encode()}, GRANTED).policies
    assert "keepFile" not in plain.to_json()["manifests"]["redact"]


def test_a_policys_list_replaces_its_profiles_and_no_other_list() -> None:
    profile = PROFILE.replace("redact: {", f"redact: {{rules: [{PINS}], ")
    user = SHOP.replace("spec:\n", "spec:\n  profile: kept\n")
    own = f"{user}  manifests: {{redact: [{PINS.replace('pins', 'own')}]}}\n"
    files = ADMIN | {"admin/kept.yaml": profile.encode(), "admin/shop.yaml": own.encode()}
    (policy,) = parse_files(files, GRANTED).policies
    assert policy.manifests.redact is not None
    assert [rule.name for rule in policy.manifests.redact.rules] == ["own"]
    assert [rule.name for rule in policy.manifests.redact.keep] == ["css"]
    text = report.render_text(effective_policy(files, "shop", GRANTED))
    rows = [line for line in text.splitlines() if line.startswith("manifests.redact")]
    assert [(row.split()[0], row.rsplit("  ", 1)[1].strip()) for row in rows] == [
        ("manifests.redact.rules[0]", "admin/shop.yaml:10"),
        ("manifests.redact.keep[0]", "admin/kept.yaml:5 (profile)"),
    ]
    assert "may keep in clear what default rules redact" in text


BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_pages_examples_are_valid() -> None:
    rules, grants = BLOCKS
    indented = "".join(f"  {line}\n" for line in rules.splitlines())
    parsed = parse(MAIN, SHOP + indented)
    assert parsed.problems == ()
    (policy,) = parsed.policies
    assert policy.manifests.redact is not None
    assert policy.manifests.redact.rules
    assert policy.manifests.redact.keep
    redactpolicy.PolicyRules(policy.manifests.redact)
    (grant,) = config(CONFIG + grants).grants
    assert grant.keep_in_clear
    assert yaml.safe_load(grants)
