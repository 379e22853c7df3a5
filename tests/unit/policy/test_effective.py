"""The effective policy: every field that is in force, and the line that it comes from."""

from __future__ import annotations

import json

import pytest

from reconciler.model import cronhash
from reconciler.model.config import Config
from reconciler.model.effective import EffectivePolicy, Origin
from reconciler.model.errors import InvalidInput, UsageError
from reconciler.policy import parse_files
from reconciler.policy.effective import effective_policy
from reconciler.report import effective as report
from tests.conftest import Golden
from tests.unit.policy.yamltexts import CONFIG, GOLD, HEAD, MAIN, SHOP, config

SMALL = (
    HEAD
    + """\
kind: BackupPolicy
metadata: {name: shop}
spec:
  profile: gold
  clusters: {matchLabels: {env: prod}}
  selector: {namespaces: [shop, "shop-*"]}
  schedule: "47 1 * * *"
  objectives: {rpo: 26h}
  volumes:
    rules:
      - match: {claims: ["*-cache"], storageClass: "slow-*"}
        copyMethod: Skip
        reason: "a \\"b\\" #c"
"""
)
FILES = {
    "admin/main.yaml": MAIN.encode(),
    "admin/profiles.yaml": GOLD.encode(),
    "team/shop.yaml": f"# a comment\n---\n{SMALL}".encode(),
}


def show(
    files: dict[str, bytes] | None = None, chosen: Config | None = None, cluster: str = ""
) -> EffectivePolicy:
    return effective_policy(files or FILES, "shop", chosen, cluster=cluster)


def test_each_field_says_where_it_comes_from() -> None:
    found = {field.path: (str(field.origin), field.place) for field in show().fields}
    assert found == {
        "profile": ("policy", "team/shop.yaml:7"),
        "clusters.matchLabels": ("policy", "team/shop.yaml:8"),
        "suspend": ("default", ""),
        "schedule.cron": ("policy", "team/shop.yaml:10"),
        "schedule.timeZone": ("profile", "admin/profiles.yaml:5"),
        "objectives.rpo": ("policy", "team/shop.yaml:11"),
        "selector.namespaces.names": ("policy", "team/shop.yaml:9"),
        "selector.objects.include": ("default", ""),
        "selector.objects.clusterScoped": ("default", ""),
        "manifests.secrets": ("default", ""),
        "volumes.repository": ("default", ""),
        "volumes.rules": ("policy", "team/shop.yaml:14"),
        "volumes.copyMethod": ("profile", "admin/profiles.yaml:6"),
        "volumes.concurrency": ("profile", "admin/profiles.yaml:6"),
        "retention.keepDaily": ("profile", "admin/profiles.yaml:7"),
        "retention.keepMonthly": ("profile", "admin/profiles.yaml:7"),
    }


def test_a_policy_without_a_profile() -> None:
    found = effective_policy({"a.yaml": f"{MAIN}---\n{SHOP}".encode()}, "shop")
    origins = {field.path: field.place for field in found.fields if field.file}
    assert origins == {
        "schedule.cron": "a.yaml:12",
        "selector.namespaces.names": "a.yaml:13",
        "volumes.copyMethod": "a.yaml:14",
        "retention.keepDaily": "a.yaml:15",
    }
    zone = next(field for field in found.fields if field.path == "schedule.timeZone")
    assert (zone.value, zone.origin) == ("Etc/UTC", Origin.DEFAULT)
    assert (found.profile, found.source) == ("", "a.yaml:10")


def test_the_repository_that_was_meant_is_named() -> None:
    (field,) = [field for field in show().fields if field.path == "volumes.repository"]
    assert (field.value, field.note) == ("main", "the only Repository, admin/main.yaml:3")


def test_what_is_recorded_only_says_so() -> None:
    noted = {field.path for field in show().fields if "not enforced" in field.note}
    assert noted == {"objectives.rpo", "retention.keepDaily", "retention.keepMonthly"}


def test_as_text(golden: Golden) -> None:
    golden("policy/effective.txt", report.render_text(show()))


def test_as_json(golden: Golden) -> None:
    golden("policy/effective.json", json.dumps(report.to_json(show()), indent=1) + "\n")


def test_as_yaml_it_is_the_same_policy_without_its_profile(golden: Golden) -> None:
    text = report.render_yaml(show())
    golden("policy/effective.yaml", text)
    (same,) = parse_files({"a.yaml": text.encode(), "b.yaml": MAIN.encode()}).policies
    (policy,) = parse_files(FILES).policies
    assert same == policy


def test_a_cluster_that_does_not_take_it_says_so() -> None:
    found = show(chosen=config(f"{CONFIG}sharedKeyInTenants: true\n"))
    assert found.elsewhere == "it is for clusters with env=prod, and prod-eu has no label env"
    assert f"note: cluster prod-eu does not take it: {found.elsewhere}" in report.render_text(found)


def test_the_compiled_schedule_is_shown_where_it_is_another() -> None:
    files = FILES | {"team/shop.yaml": SMALL.replace("47 1 * * *", "@weekly").encode()}
    found = show(files)
    assert found.cron == "0 0 * * 0"
    assert "note: its schedule is 0 0 * * 0\n" in report.render_text(found)
    assert "note: its schedule" not in report.render_text(show())


def test_a_hash_is_worked_out_for_a_cluster_and_only_then() -> None:
    files = FILES | {"team/shop.yaml": SMALL.replace("47 1 * * *", "H H(1-4) * * *").encode()}
    without = show(files)
    assert without.cron == ""
    note = "note: H stands for another time in each cluster: name one with --cluster"
    assert note in report.render_text(without).splitlines()
    found = show(files, cluster="prod-eu")
    assert found.cron == cronhash.compile_cron("H H(1-4) * * *", cluster="prod-eu", policy="shop")
    lines = report.render_text(found).splitlines()
    assert f"note: its schedule in cluster prod-eu is {found.cron}" in lines
    named = show(files, config(f"{CONFIG}sharedKeyInTenants: true\n"))
    assert named.cron == found.cron


@pytest.mark.parametrize(
    ("files", "says", "hint"),
    [
        (FILES | {"team/shop.yaml": SMALL.replace("gold", "golf").encode()}, "`golf` does not", ""),
        (
            FILES | {"admin/profiles.yaml": GOLD.replace("30", "0").encode()},
            "admin/profiles.yaml:7:26: error: `keepDaily` must be at least 1",
            "policy shop is held: its Profile gold has a problem, admin/profiles.yaml:7",
        ),
        (
            FILES | {"team/shop.yaml": b"kind: ["},
            "not YAML",
            "policy shop may be in what can't be read",
        ),
    ],
)
def test_a_broken_policy_is_told_with_its_problems(
    files: dict[str, bytes], says: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        show(files)
    assert says in "\n".join(map(str, caught.value.problems))
    assert caught.value.hint == hint


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no policy shopp") as caught:
        effective_policy(FILES, "shopp")
    assert caught.value.hint == "did you mean `shop`?"
    with pytest.raises(UsageError) as caught:
        effective_policy({"admin/main.yaml": MAIN.encode()}, "shop")
    assert caught.value.hint == "there is no policy at all"
