"""Documents become values; every problem is named at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.model.policy import (
    BackupPolicy,
    CopyMethod,
    Manifests,
    NamespaceSelector,
    Objectives,
    Repository,
    Retention,
    Schedule,
    Selector,
    VolumeRule,
    Volumes,
)
from reconciler.policy import is_policy_file, parse_files, render_problems
from tests.conftest import Golden
from tests.unit.policy.yamltexts import (
    CONFIG,
    HEAD,
    MAIN,
    SHOP,
    config,
    messages,
    parse,
    parse_policy,
)

FULL = (
    HEAD
    + """\
kind: BackupPolicy
metadata: {name: shop}
spec:
  suspend: true
  schedule: {cron: "@daily", timeZone: Europe/Berlin}
  objectives: {rpo: 26h, rto: 1h}
  selector:
    namespaces:
      names: [shop, "shop-*"]
      matchLabels: {backup: gold}
      exclude: ["*-preview"]
    objects: {clusterScoped: Referenced}
  manifests: {secrets: Restic}
  volumes:
    repository: main
    rules:
      - {match: {claims: ["*-cache"]}, copyMethod: Skip, reason: rebuilt on start}
      - {match: {storageClass: "csi-*"}, copyMethod: Direct}
    copyMethod: Skip
    concurrency: 2
    exclude: ["lost+found"]
  retention: {keepLast: 3, keepDaily: 7, keepWithin: 1y6d}
"""
)


def test_a_policy_with_every_field() -> None:
    assert parse_policy(FULL) == BackupPolicy(
        name="shop",
        suspend=True,
        schedule=Schedule("0 0 * * *", "Europe/Berlin"),
        objectives=Objectives(rpo=26 * 3600, rto=3600),
        selector=Selector(
            namespaces=NamespaceSelector(
                names=("shop", "shop-*"), match_labels={"backup": "gold"}, exclude=("*-preview",)
            )
        ),
        manifests=Manifests(),
        volumes=Volumes(
            repository="main",
            rules=(
                VolumeRule(
                    claims=("*-cache",), copy_method=CopyMethod.SKIP, reason="rebuilt on start"
                ),
                VolumeRule(storage_class=("csi-*",), copy_method=CopyMethod.DIRECT),
            ),
            copy_method=CopyMethod.SKIP,
            concurrency=2,
            exclude=("lost+found",),
        ),
        retention=Retention(keep_last=3, keep_daily=7, keep_within="1y6d"),
    )


def test_short_forms_and_defaults() -> None:
    policy = parse_policy(SHOP)
    assert policy.schedule == Schedule("17 4 * * *", "Etc/UTC")
    assert policy.selector == Selector(namespaces=NamespaceSelector(names=("shop",)))
    assert policy.volumes == Volumes(repository="main", copy_method=CopyMethod.DIRECT)
    assert policy == parse_policy(
        SHOP.replace('"17 4 * * *"', '{cron: "17 4 * * *"}').replace("[shop]", "{names: [shop]}")
    )


def test_a_repository() -> None:
    (repository,) = parse(MAIN).repositories
    assert repository == Repository(
        name="main",
        url="s3:https://s3.example.org/backups/{cluster}/{namespace}",
        secret_ref="restic-main",
    )


def test_documents_know_their_source_and_their_digest() -> None:
    first, second = parse(MAIN, SHOP).documents
    assert (first.source, second.source) == ("a.yaml#0", "a.yaml#1")
    assert (second.kind, second.name, second.line) == ("BackupPolicy", "shop", 7)
    moved = parse_files({"x/y.yml": f"# c\n\n{SHOP}".encode(), "r.yaml": MAIN.encode()})
    assert {d.digest for d in moved.documents} == {first.digest, second.digest}
    changed = parse(MAIN, SHOP.replace("keepDaily: 7", "keepDaily: 8")).documents[1]
    assert changed.digest != second.digest


def test_files_are_read_in_order_and_others_left_out() -> None:
    files = {"b.yaml": SHOP, "a.yml": MAIN, "README.md": "# [", ".x.yaml": "[", "d/.y.yml": "["}
    parsed = parse_files({name: text.encode() for name, text in files.items()})
    assert [document.file for document in parsed.documents] == ["a.yml", "b.yaml"]
    assert not parsed.problems
    assert is_policy_file(".backup/shop.yaml")
    assert not is_policy_file("shop.json")


# Each: what is replaced in SHOP, with what, and the message with its hint.
MISTAKES = [
    ("keepDaily", "keepDaly", "unknown field `keepDaly` in retention | did you mean `keepDaily`?"),
    ("{keepDaily: 7}", "{}", "`retention` is empty, which would keep nothing"),
    ("  retention: {keepDaily: 7}\n", "", "required field `retention` is missing in spec"),
    ('  schedule: "17 4 * * *"\n', "", "required field `schedule` is missing in spec"),
    ("  selector: {namespaces: [shop]}\n", "", "required field `selector` is missing in spec"),
    ("{namespaces: [shop]}", "{}", "required field `namespaces` is missing in selector"),
    ("[shop]", "[]", "`namespaces` selects nothing | give names or matchLabels"),
    ("[shop]", "shop", "`namespaces` must be a list or a mapping, not `shop` | write a list"),
    ("[shop]", "[Shop]", "13:27 `names` `Shop` can match no name"),
    ("[shop]", "{names: [Shop]}", "13:35 `names` `Shop` can match no name"),
    ("[shop]", '["team-[c-a]"]', "has a range that runs backwards, [c-a] | [a-c]"),
    ("[shop]", '["team-[a"]', "can match no name"),
    ("[shop]", "{matchLabels: {a: 1}}", "`a` must be a text, not a number | quote it"),
    ("[shop]", "{matchLabels: {a b: x}}", "`a b` is not a label key"),
    ("[shop]", '{matchLabels: {a: "-x"}}', "`a` `-x` is not a label value"),
    ("name: shop", "name: Shop", "`name` `Shop` is not a DNS-1123 label"),
    ("name: shop", f"name: {'a' * 64}", "is not a DNS-1123 label"),
    ("name: shop", "name: a.b", "`name` `a.b` is not a DNS-1123 label"),
    ("name: shop", "name: ..", "`name` `..` is not a DNS-1123 label"),
    ("name: shop", "name: 12", "`name` must be a text, not a number | quote it"),
    ("name: shop", "name: ", "`name` is empty and must be a text"),
    ("17 4 * * *", "17 25 * * *", "has 25 for the hour, which goes from 0 to 23"),
    ('"17 4 * * *"', '{cron: "@daily", timeZone: Europe/Berln}', "is not an IANA time zone"),
    ('"17 4 * * *"', '{cron: "@daily", timeZone: europe/berlin}', "mean `Europe/Berlin`?"),
    ('"17 4 * * *"', '{cron: "@daily", timeZone: Local}', "is not an IANA time zone"),
    ('"17 4 * * *"', '{cron: "@daily", timeZone: ../etc/passwd}', "is not an IANA time zone"),
    ("copyMethod: Direct", "copyMethod: direct", "not one of Auto, Snapshot, Clone, Direct, Skip"),
    ("copyMethod: Direct", "copyMethod: direct", "did you mean `Direct`?"),
    ("copyMethod: Direct", "copyMethod: Direct, concurrency: 0", "must be at least 1"),
    ("copyMethod: Direct", "copyMethod: Direct, concurrency: 65", "must be at most 64"),
    ("copyMethod: Direct", 'copyMethod: Direct, concurrency: "4"', "| remove the quotes"),
    ("copyMethod: Direct", "copyMethod: Direct, concurrency: 1.5", "a whole number, not `1.5`"),
    ("copyMethod: Direct", "copyMethod: Direct, exclude: [/etc]", "leaves the volume"),
    ("copyMethod: Direct", 'copyMethod: Direct, exclude: ["../x"]', "leaves the volume"),
    ("copyMethod: Direct", "copyMethod: Direct, repository: mainn", "did you mean `main`?"),
    (
        "copyMethod: Direct",
        "copyMethod: Direct, rules: [{match: {}, copyMethod: Skip}]",
        "`match` has no condition | give claims or storageClass",
    ),
    ("keepDaily: 7", "keepDaily: 0", "`keepDaily` must be at least 1"),
    ("keepDaily: 7", "keepDaily: true", "`keepDaily` must be a whole number, not `true`"),
    ("keepDaily: 7", "keepWithin: 6m", "which is months to restic and minutes elsewhere"),
    ("spec:", "spec: []\nx:", "`spec` must be a mapping"),
    ("spec:", "sepc:", "unknown field `sepc` | did you mean `spec`?"),
    ("  volumes", "  suspend: yes\n  volumes", "`yes` is read as a string"),
    ("  volumes", '  suspend: "true"\n  volumes', "must be true or false, not a text"),
    ("  volumes", '  suspend: "yes"\n  volumes', "| write true"),
    ("  volumes", '  suspend: "off"\n  volumes', "| write false"),
    ("  volumes", "  objectives: {rpo: 1w}\n  volumes", "`rpo` `1w` is not a duration"),
    ("  volumes", f"  objectives: {{rpo: {'9' * 13}d}}\n  volumes", "is not a duration"),
    ("v1alpha1", "v1", "apiVersion is `backstay.dev/v1`"),
    (HEAD, "", "apiVersion is missing | write apiVersion: backstay.dev/v1alpha1"),
    ("BackupPolicy", "Backup", "unknown kind `Backup` | "),
    ("kind: BackupPolicy\n", "", "kind is missing | there are BackupPolicy, Repository"),
    ("kind: BackupPolicy", "kind: Config", "Config does not belong among the policies"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes(old: str, new: str, message: str) -> None:
    assert old in SHOP
    parsed = parse(MAIN, SHOP.replace(old, new, 1))
    assert message in "\n".join(messages(parsed))
    assert not parsed.policies
    assert parsed.repositories  # a problem stops nothing but its own document


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/srv/{cluster}/{namespace}", "has a scheme that is not allowed"),
        ("local:/srv/{cluster}/{namespace}", "has a scheme that is not allowed"),
        ("rclone:x:{cluster}/{namespace}", "has a scheme that is not allowed"),
        ("S3:https://h/{cluster}/{namespace}", "has a scheme that is not allowed"),
        ("s3:https://key:secret@h/{cluster}/{namespace}", "has credentials in it"),
        ("rest:https://user@h/{cluster}/{namespace}", "has credentials in it"),
        ("sftp://u:p@h/{cluster}/{namespace}", "has credentials in it"),
        ("rest:h/{cluster}/{namespace}", "must go on with http:// or https://"),
        ("s3:https://h/{cluster}", "needs {namespace} once"),
        ("s3:https://h/{namespace}", "needs {cluster} once"),
        ("s3:https://h/{cluster}-{namespace}", "needs {cluster} once"),
        ("s3:https://{namespace}/b/{cluster}", "names no host"),
        ("s3:https://h/{cluster}/{namespace}/{policy}", "has braces other than"),
        ("s3:https://h/{cluster}/{namespace}/..", "has . or .. in its path"),
        ("s3:https://h/{cluster}/{namespace}?x=1", "has a character that is not allowed"),
        ("s3:https://h/a b/{cluster}/{namespace}", "has a character that is not allowed"),
        ("s3:https:///{cluster}/{namespace}", "names no host"),
        ("s3:http://169.254.169.254/{cluster}/{namespace}", "names an address that is not allowed"),
        ("s3:http://[fe80::1]/{cluster}/{namespace}", "names an address that is not allowed"),
        ("sftp:h", "names no host"),
        ("s3:" + "h" * 2000, "has a character that is not allowed"),
    ],
)
def test_refused_repository_urls(url: str, message: str) -> None:
    changed = re.sub(r'url: ".*"', f'url: "{url}"', MAIN)
    assert message in "\n".join(messages(parse(changed)))


@pytest.mark.parametrize(
    "url",
    [
        "s3:https://s3.example.org/bucket/{cluster}/{namespace}",
        "s3:http://10.0.0.5:8333/bucket/{cluster}/{namespace}",
        "s3:s3.amazonaws.com/bucket/x/{cluster}/y/{namespace}",
        "rest:https://rest.example.org:8000/{cluster}/{namespace}/",
        "sftp:backup@host:/srv/{cluster}/{namespace}",
        "sftp:host:backups/{cluster}/{namespace}",
        "sftp://backup@host:2222//srv/{cluster}/{namespace}",
        "s3:https://[2001:db8::1]:9000/b/{cluster}/{namespace}",
    ],
)
def test_repository_urls(url: str) -> None:
    parsed = parse(re.sub(r'url: ".*"', f'url: "{url}"', MAIN))
    assert not parsed.problems
    assert parsed.repositories[0].url == url


def test_credentials_in_a_url_are_never_shown() -> None:
    for url in ("s3:https://key:hunter2@h/x", "ftp://key:hunter2@h/{cluster}", "s3:k:hunter2@h"):
        text = re.sub(r'url: ".*"', f'url: "{url}"', MAIN)
        parsed = parse(text)
        assert parsed.problems
        shown = render_problems(parsed.problems, {"a.yaml": text.encode()})
        assert "hunter2" not in shown
        assert "hunter2" not in str(parsed.problems)


def test_the_same_name_twice_is_a_problem_at_both_places() -> None:
    parsed = parse_files(
        {"a.yaml": MAIN.encode(), "b.yaml": SHOP.encode(), "c.yaml": f"\n{SHOP}".encode()}
    )
    assert [(p.file, p.line, p.message) for p in parsed.problems] == [
        ("b.yaml", 3, "BackupPolicy shop stands here and at c.yaml:4"),
        ("c.yaml", 4, "BackupPolicy shop stands here and at b.yaml:3"),
    ]
    assert not parsed.policies
    assert [d.name for d in parsed.broken] == ["shop", "shop"]


def test_the_same_name_for_another_kind_is_fine() -> None:
    assert not parse(MAIN, SHOP.replace("name: shop", "name: main")).problems


def test_a_policy_needs_a_repository() -> None:
    (problem,) = parse(SHOP).problems
    assert problem.message == "there is no Repository"
    other = MAIN.replace("name: main", "name: other")
    (problem,) = parse(MAIN, other, SHOP).problems
    assert problem.message == "`volumes.repository` must be given"
    assert problem.hint == "there are main, other"
    assert not parse(MAIN, other, SHOP.replace("Direct}", "Direct, repository: main}")).problems


def test_what_refers_to_a_broken_document_is_held_without_a_problem_of_its_own() -> None:
    parsed = parse(MAIN.replace("secretRef", "secretReff"), SHOP)
    assert {problem.document for problem in parsed.problems} == {0}
    policy = parsed.document("BackupPolicy", "shop")
    assert policy is not None
    assert policy.value is None
    assert policy.held == "its Repository main has a problem, a.yaml:4"


def test_a_document_that_nobody_can_read_may_be_the_missing_repository() -> None:
    parsed = parse("spec: [\n", SHOP)
    (problem,) = parsed.problems
    assert problem.document == 0
    assert [d.name for d in parsed.broken] == ["", "shop"]
    assert parsed.broken[1].held == "its Repository may be in a.yaml:1, which has a problem"


def test_a_broken_document_keeps_its_name_where_it_can_be_read() -> None:
    parsed = parse(MAIN, SHOP.replace("retention: {", "retention: ["))
    (broken,) = parsed.broken
    assert (broken.kind, broken.name, broken.digest) == ("BackupPolicy", "shop", "")


def test_direct_needs_the_word_of_config() -> None:
    rule = "Direct, rules: [{match: {claims: [x]}, copyMethod: Direct}]"
    text = SHOP.replace("Direct", rule)
    assert len(parse(MAIN, text).problems) == 0
    parsed = parse(MAIN, text, config=config())
    assert [(p.path, p.hint) for p in parsed.problems] == [
        ("spec.volumes.copyMethod", "Config allows it with sharedKeyInTenants: true"),
        ("spec.volumes.rules[0].copyMethod", "Config allows it with sharedKeyInTenants: true"),
    ]
    allowed = config(f"{CONFIG}sharedKeyInTenants: true\n")
    assert not parse(MAIN, text, config=allowed).problems


def test_every_problem_at_once(golden: Golden) -> None:
    """The sketch of a mistake, and one of everything else."""
    files = {
        "policies/shop.yaml": (Path(__file__).parent / "mistakes.yaml").read_bytes(),
        "policies/text.yaml": b"a: [no, 010\n---\nkind: \xe2\x80\xae\n",
    }
    parsed = parse_files(files)
    golden("policy/mistakes.txt", render_problems(parsed.problems, files))


def test_a_config_among_the_policies_is_left_out_and_hides_no_policy() -> None:
    files = {"main.yaml": MAIN.encode(), "a/backstay.yaml": CONFIG.encode()}
    parsed = parse_files(files)
    assert (parsed.problems, [one.file for one in parsed.documents]) == ((), ["main.yaml"])
    (policy,) = parse_files(files | {"a/backstay.yaml": SHOP.encode()}).policies
    assert policy.name == "shop"
    parsed = parse_files(files | {"a/backstay.yaml": f"{CONFIG}---\n{SHOP}".encode()})
    assert [policy.name for policy in parsed.policies] == ["shop"]
    assert "Config does not belong among the policies" in messages(parsed)[0]
    assert parse_files(files | {"a/backstay.yaml": b"kind: [\n"}).problems
    assert parse_files(files | {"a/config.yaml": CONFIG.encode()}).problems
