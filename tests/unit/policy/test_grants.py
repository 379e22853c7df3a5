"""A merged policy reaches no further than its folder's grant: one test per attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.cluster import Namespace
from reconciler.model.config import Config
from reconciler.model.grants import Grant
from reconciler.model.policy import BackupPolicy, ParsedFiles
from reconciler.plan import intervals
from reconciler.plan.selection import select_namespaces
from reconciler.policy import parse_files
from reconciler.policy.cron import CronError, parse_cron
from reconciler.policy.effective import effective_policy
from reconciler.policy.frequency import shortest_interval
from tests.unit.policy.yamltexts import CONFIG, EXEMPT, GOLD, MAIN, RESTORE, SHOP, config

GRANTS = """\
sharedKeyInTenants: true
grants:
  - {path: admin, admin: true, namespaces: ["*"], restoreTargets: ["*"]}
  - path: teams/a
    namespaces: [shop, "shop-*"]
    repositories: [main]
    hooks: ["shop-*"]
    restoreTargets: ["shop-*"]
    shortestInterval: 1h
    maxPolicies: 3
  - {path: teams/b, namespaces: [mail, kube-system, backstay-system], hooks: ["*"]}
"""
ALLOWED = config(CONFIG + GRANTS)
ADMIN = {"admin/main.yaml": f"{MAIN}---\n{GOLD}".encode()}
A = "teams/a/shop.yaml"


def read(more: dict[str, str], chosen: Config = ALLOWED) -> ParsedFiles:
    return parse_files(ADMIN | {name: text.encode() for name, text in more.items()}, chosen)


def refusals(file: str, text: str) -> list[str]:
    """Every problem of a file, as ``line:column message | hint``; none of them makes a policy."""
    parsed = read({file: text})
    assert {problem.file for problem in parsed.problems} <= {file}
    if parsed.problems:
        assert all(found.value is None for found in parsed.documents if found.file == file)
    return [f"{p.line}:{p.column} {p.message} | {p.hint}" for p in parsed.problems]


def shop(**changed: str) -> str:
    text = SHOP
    for old, new in changed.items():
        found = {"namespaces": "[shop]", "schedule": '"17 4 * * *"', "name": "{name: shop}"}[old]
        text = text.replace(found, new, 1)
    return text


def hooked(namespaces: str) -> str:
    hooks = "  hooks: [{name: h, pods: {matchLabels: {a: b}}, pre: {command: [x]}}]\n"
    return shop(namespaces=namespaces) + hooks


def test_what_is_granted_is_taken() -> None:
    assert refusals(A, shop(namespaces='[shop, "shop-*", "s*"]')) == []
    (policy,) = read({A: SHOP}).policies
    assert policy.selector.namespaces.within == ("shop", "shop-*")
    assert policy.selector.namespaces.grant == "teams/a"


def test_without_grants_all_is_taken_and_nothing_is_written_into_policies() -> None:
    (policy,) = read(
        {A: shop(namespaces="[kube-system]")}, config(f"{CONFIG}{GRANTS[:25]}")
    ).policies
    assert policy.selector.namespaces.within is None
    assert "grant" not in policy.to_json()["selector"]["namespaces"]


def test_all_that_is_cluster_scoped_is_for_folders_without_a_limit_of_namespaces() -> None:
    def scoped(mode: str) -> str:
        part = "{namespaces: [shop], objects: {clusterScoped: MODE}}".replace("MODE", mode)
        return SHOP.replace("{namespaces: [shop]}", part)

    (only,) = refusals(A, scoped("All"))
    assert only == (
        "6:59 clusterScoped All is not granted: it takes what belongs to other namespaces, too |"
        " the grant of folder teams/a gives namespaces shop, shop-* only; use Referenced, or grant"
        ' namespaces ["*"]'
    )
    for mode in ("Referenced", "None"):
        assert refusals(A, scoped(mode)) == []
    assert refusals("admin/shop.yaml", scoped("All")) == []
    assert read({A: scoped("All")}, config(f"{CONFIG}{GRANTS[:25]}")).problems == ()


def test_another_teams_namespace() -> None:
    assert refusals(A, shop(namespaces='[shop, mail, "kube-*"]')) == [
        "6:33 namespace mail is not granted | the grant of folder teams/a gives shop, shop-*",
        "6:39 namespace kube-* is not granted | the grant of folder teams/a gives shop, shop-*",
    ]


@pytest.mark.parametrize(
    "selector", ['["*"]', "{matchLabels: {a: b}}", '{names: ["*"], matchLabels: {a: b}}']
)
def test_every_namespace_comes_to_those_that_are_granted(selector: str) -> None:
    (policy,) = read({A: shop(namespaces=selector)}).policies
    there = [
        Namespace(name=name, uid=name, labels={"a": "b"})
        for name in ("backstay-system", "kube-system", "mail", "shop", "shop-1", "shopping")
    ]
    found = select_namespaces(policy.selector.namespaces, there, own_namespace="backstay-system")
    assert found.names == ("shop", "shop-1")
    assert [(one.name, one.why) for one in found.passed_over] == [
        ("mail", "not granted to folder teams/a"),
        ("shopping", "not granted to folder teams/a"),
    ]


def test_a_folder_without_a_grant() -> None:
    for file in ("teams/shop.yaml", "shop.yaml", "teams/ab/shop.yaml"):
        (only,) = refusals(file, SHOP)
        assert "2:7 this file may use nothing: no grant is for folder" in only


def test_a_copy_in_another_folder_has_the_rights_of_that_folder() -> None:
    assert refusals("teams/a/x.yaml", SHOP) == []
    assert "namespace shop is not granted" in refusals("teams/b/x.yaml", SHOP)[0]
    assert "no grant" in refusals("teams/x.yaml", SHOP)[0]


@pytest.mark.parametrize(
    "file",
    [
        "teams/a/../../admin/x.yaml",
        "./admin/x.yaml",
        "admin/../teams/x.yaml",
        "/admin/x.yaml",
        "Admin/x.yaml",
        "ADMIN/x.yaml",
        "admin./x.yaml",
        "\uff41dmin/x.yaml",
        "\u0430dmin/x.yaml",
        "teams/A/x.yaml",
    ],
)
def test_a_path_that_leads_or_looks_elsewhere_has_no_rights(file: str) -> None:
    assert "this file may use nothing" in refusals(file, SHOP)[0]
    assert "a Repository is not taken from this folder" in refusals(file, MAIN)[0]


def test_a_repository_outside_the_admin_folder() -> None:
    own = MAIN.replace("name: main", "name: own")
    (only,) = refusals(A, own)
    assert only == (
        "2:7 a Repository is not taken from this folder | Config takes them from folder admin"
        " only, where its grants say admin: true"
    )


def test_who_names_a_misplaced_repository_is_told_where_it_stands() -> None:
    own = MAIN.replace("name: main", "name: own")
    text = SHOP.replace("{copyMethod: Direct}", "{copyMethod: Direct, repository: own}")
    told = [problem.hint for problem in read({A: text, "teams/a/own.yaml": own}).problems]
    assert told[1] == "the one at teams/a/own.yaml:3 is not taken from there"


def test_a_repository_that_is_not_granted() -> None:
    other = f"{MAIN}---\n{MAIN.replace('name: main', 'name: vault')}---\n{GOLD}"
    text = SHOP.replace("{copyMethod: Direct}", "{copyMethod: Direct, repository: vault}")
    parsed = parse_files({"admin/x.yaml": other.encode(), A: text.encode()}, ALLOWED)
    assert [(p.column, p.message, p.hint) for p in parsed.problems] == [
        (45, "Repository vault is not granted", "the grant of folder teams/a gives main")
    ]


def test_a_repository_or_profile_of_a_known_name_takes_it_from_nobody() -> None:
    for text in (MAIN, GOLD):
        parsed = read({A: SHOP, "teams/b/evil.yaml": text})
        assert len(parsed.problems) == 1
        assert [policy.name for policy in parsed.policies] == ["shop"]
        assert parsed.repositories[0].name == "main"


def test_an_unreadable_file_of_a_tenant_stands_for_no_repository() -> None:
    parsed = parse_files(
        {A: SHOP.encode(), "teams/b/x.yaml": b"a: [", "admin/none.yaml": GOLD.encode()}, ALLOWED
    )
    assert "there is no Repository" in [p.message for p in parsed.problems]


def test_a_profile_from_a_tenants_folder() -> None:
    theirs = GOLD.replace("name: gold", "name: mine")
    text = SHOP.replace("spec:\n", "spec:\n  profile: mine\n")
    parsed = read({A: text, "teams/a/profile.yaml": theirs})
    assert sorted(p.message for p in parsed.problems) == [
        "Profile `mine` does not exist",
        "a Profile is not taken from this folder",
    ]
    assert parsed.policies == ()


def test_what_a_profile_gives_beyond_the_grant_is_told_where_it_is_named() -> None:
    wide = GOLD.replace("spec:\n", "spec:\n  selector: {namespaces: [mail]}\n")
    text = SHOP.replace("spec:\n", "spec:\n  profile: gold\n").replace(
        "  selector: {namespaces: [shop]}\n", ""
    )
    parsed = parse_files({"admin/x.yaml": f"{MAIN}---\n{wide}".encode(), A: text.encode()}, ALLOWED)
    (only,) = parsed.problems
    assert (only.file, only.line) == (A, 5)
    assert only.message.startswith("namespace mail is not granted, from Profile gold, admin/x.yaml")


@pytest.mark.parametrize(
    ("file", "namespace"),
    [
        (A, "shop"),
        ("teams/b/x.yaml", "kube-system"),
        ("teams/b/x.yaml", "backstay-system"),
        ("admin/x.yaml", "shop"),
    ],
)
def test_a_hook_where_none_may_run(file: str, namespace: str) -> None:
    found = "\n".join(refusals(file, hooked(f"[{namespace}]")))
    assert f"hooks may not run in namespace {namespace}" in found


@pytest.mark.parametrize("selector", ['["s*"]', '["*"]', "{matchLabels: {a: b}}"])
def test_a_hook_in_more_than_was_granted(selector: str) -> None:
    assert "hooks may not run in every namespace that" in "\n".join(refusals(A, hooked(selector)))


def test_a_glob_for_kube_needs_a_grant_that_names_it_as_a_name_does() -> None:
    wide = replace(ALLOWED, grants=(Grant(path="teams/a", hooks=("*",)),))
    found = parse_files({A: hooked('["kube-*"]').encode()}, wide).problems
    assert "hooks may not run in every namespace that kube-* selects" in [p.message for p in found]


def test_a_hook_in_backstays_own_namespace_wherever_that_is() -> None:
    here = replace(ALLOWED, own_namespace="mail")
    refused = "hooks may not run in namespace mail"
    files = ADMIN | {"teams/b/x.yaml": hooked("[mail]").encode()}
    assert refused in [problem.message for problem in parse_files(files, here).problems]
    assert refused not in [problem.message for problem in parse_files(files, ALLOWED).problems]


def test_a_hook_where_it_may_run_is_no_problem() -> None:
    for selector in ("[shop-1]", '["shop-*"]'):
        assert refusals(A, hooked(selector)) == []


def test_every_minute() -> None:
    (only,) = refusals(A, shop(schedule='"* * * * *"'))
    assert only == (
        "5:13 runs as often as every 1m | the grant of folder teams/a has shortestInterval 1h"
    )
    for cron in ('"*/30 * * * *"', '"0,59 4 * * *"', '"H/20 4 * * *"'):
        assert "runs as often as" in refusals(A, shop(schedule=cron))[0]
    for cron in ('"@hourly"', '"H * * * *"', '"0 4 29 2 *"', '"0 4 1 1 *"'):
        assert refusals(A, shop(schedule=cron)) == []


def test_very_many_policies() -> None:
    text = "---\n".join(shop(name=f"{{name: shop-{number}}}") for number in range(50))
    parsed = read({f"teams/a/{n}.yaml": text.replace("shop-", f"shop-{n}-") for n in range(5)})
    assert len(parsed.problems) == 250
    assert parsed.policies == ()
    assert parsed.problems[0].message == "folder teams/a has 250 policies, and its grant is for 3"


def test_the_number_of_policies_is_one_folders_own_affair() -> None:
    four = {f"teams/a/{n}.yaml": shop(name=f"{{name: a{n}}}") for n in range(4)}
    mail = shop(name="{name: mail}", namespaces="[mail]")
    parsed = read(four | {"teams/b/mail.yaml": mail})
    assert [policy.name for policy in parsed.policies] == ["mail"]
    three = dict(list(four.items())[:3])
    assert len(read(three | {"teams/b/mail.yaml": mail}).policies) == 4


def test_policies_for_other_clusters_do_not_count_and_are_not_judged() -> None:
    other = SHOP + "  clusters: [dev]\n"
    four = {
        f"teams/a/{n}.yaml": other.replace("{name: shop}", f"{{name: a{n}}}").replace(
            "[shop]", "[mail]"
        )
        for n in range(4)
    }
    assert read(four | {A: SHOP}).problems == ()


@pytest.mark.parametrize(
    "url",
    [
        "rest:https://evil.example.org/x",  # no part of its own for each namespace
        "rest:https://169.254.169.254/{cluster}/{namespace}",
        "rest:http://169.254.169.254:80/{cluster}/{namespace}",
        "s3:http://169.254.169.254/{cluster}/{namespace}",
        "rest:https://[fe80::1]/{cluster}/{namespace}",
        "rest:https://[::ffff:169.254.169.254]/{cluster}/{namespace}",
        "rest:https://[::ffff:a9fe:a9fe]/{cluster}/{namespace}",
        "rest:https://[64:ff9b::a9fe:a9fe]/{cluster}/{namespace}",
        "rest:https://[fd00:ec2::254]/{cluster}/{namespace}",
        "rest:https://fe80::1/{cluster}/{namespace}",
        "rest:https://2852039166/{cluster}/{namespace}",
        "rest:https://0xa9fea9fe/{cluster}/{namespace}",
        "rest:https://0251.0376.0251.0376/{cluster}/{namespace}",
        "rest:https://169.254.43518/{cluster}/{namespace}",
        "rest:https://169.254.169.254./{cluster}/{namespace}",
        "rest:https://100.100.100.200/{cluster}/{namespace}",
        "rest:https://metadata.google.internal/{cluster}/{namespace}",
        "rest:https://METADATA.google.internal./{cluster}/{namespace}",
        "rest:https://0.0.0.0/{cluster}/{namespace}",
        "rest:https://[::]/{cluster}/{namespace}",
        "/srv/backups/{cluster}/{namespace}",
        "local:/srv/{cluster}/{namespace}",
        "file:///srv/{cluster}/{namespace}",
        "rclone:evil:{cluster}/{namespace}",
        "rest:file:///srv/{cluster}/{namespace}",
        "sftp:-oProxyCommand:/{cluster}/{namespace}",
        "sftp:-D8080@host:/{cluster}/{namespace}",
        "s3:https://s3.example.org/../{cluster}/{namespace}",
    ],
)
def test_an_address_that_no_repository_may_have_even_in_the_admin_folder(url: str) -> None:
    text = MAIN.replace("s3:https://s3.example.org/backups/{cluster}/{namespace}", url)
    assert refusals("admin/x.yaml", text.replace("name: main", "name: evil"))


def test_an_evil_repository_from_a_tenants_folder_is_refused_whatever_its_address() -> None:
    text = MAIN.replace("s3:https://s3.example.org/backups", "rest:https://evil.example.org")
    assert "a Repository is not taken from this folder" in refusals(A, text)[0]


def test_another_teams_secret() -> None:
    (only,) = refusals(A, MAIN.replace("restic-main", "restic-other-team").replace("main", "x"))
    assert "a Repository is not taken from this folder" in only
    named = SHOP.replace("{copyMethod: Direct}", "{copyMethod: Direct, secretRef: {name: x}}")
    assert "unknown field `secretRef` in volumes" in refusals(A, named)[0]


def test_foreign_sops_recipients() -> None:
    key = "age1pmwc3l23wm4yz6hkytlt94rlv8ash6ngs0p3jakfkumusgedmqhs2tvslf"
    mine = f"  manifests: {{secrets: Sops, recipients: {{age: [{key}]}}}}\n"
    (told,) = refusals(A, SHOP + mine)
    assert "recipients of Secrets are not taken from this folder" in told
    assert refusals("admin/x.yaml", SHOP + mine) == []
    assert refusals("teams/a/.sops.yaml", "creation_rules: [{age: age1x}]") == []  # never read


def test_a_restore_into_anothers_namespace() -> None:
    text = RESTORE + "  selector: {namespaces: [shop]}\n  mapNamespaces: {shop: mail}\n"
    found = "\n".join(refusals(A, text))
    assert "a restore into namespace mail is not granted" in found
    assert "restoreTargets shop-*" in found
    whole = "\n".join(refusals(A, RESTORE))
    assert "a restore into namespace * is not granted" in whole


def test_a_restore_of_anothers_namespace_into_ones_own() -> None:
    text = RESTORE + "  selector: {namespaces: [mail]}\n  mapNamespaces: {mail: shop-x}\n"
    found = "\n".join(refusals(A, text))
    assert "namespace mail is not granted" in found
    assert "restore into" not in found


def test_a_restore_within_its_grant() -> None:
    text = RESTORE + "  selector: {namespaces: [shop]}\n  mapNamespaces: {shop: shop-x}\n"
    assert "granted" not in "\n".join(refusals(A, text))


def test_an_exemption_of_anothers_namespace() -> None:
    found = "\n".join(refusals(A, EXEMPT))
    assert "namespace scratch-* is not granted" in found
    assert "granted" not in "\n".join(refusals(A, EXEMPT.replace("scratch-*", "shop-x*")))


@pytest.mark.parametrize("file", [A, "nowhere/shop.yaml"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXEMPT + "  clusters: [prod-us]\n", id="Exemption"),
        pytest.param(RESTORE.replace("prod-eu", "prod-us"), id="Restore"),
    ],
)
def test_what_is_for_another_cluster_is_held_against_its_grants(file: str, text: str) -> None:
    assert refusals(file, text) == []


def test_an_exemption_for_this_cluster_among_others_is_held_against_its_grants() -> None:
    found = "\n".join(refusals(A, EXEMPT + "  clusters: [prod-us, prod-eu]\n"))
    assert "namespace scratch-* is not granted" in found


def test_config_among_the_policies() -> None:
    assert "Config does not belong among the policies" in refusals(A, CONFIG)[0]


def test_the_grant_is_shown_with_the_policy() -> None:
    files = ADMIN | {A: SHOP.encode()}
    assert effective_policy(files, "shop", ALLOWED).grant == ALLOWED.grants[1]
    assert effective_policy(files, "shop").grant is None


CRON_FIELD = st.sampled_from(["*", "0", "7", "1,3", "1-5", "*/2", "0-6/3", "H", "2-4"])


@given(st.tuples(*[CRON_FIELD] * 5))
def test_two_ways_to_count_say_the_same(fields: tuple[str, ...]) -> None:
    try:
        cron = parse_cron(" ".join(fields))
    except CronError:
        return
    if "H" not in cron:
        assert shortest_interval(cron) == intervals.shortest_interval(cron)


def test_an_old_compiled_policy_is_read_as_before() -> None:
    (policy,) = read({A: SHOP}).policies
    selector = replace(policy.selector.namespaces, within=None, grant=None)
    old = replace(policy, selector=replace(policy.selector, namespaces=selector))
    assert set(old.to_json()["selector"]["namespaces"]) == {"names", "matchLabels", "exclude"}
    assert BackupPolicy.from_json(old.to_json()) == old
    assert BackupPolicy.from_json(policy.to_json()) == policy
