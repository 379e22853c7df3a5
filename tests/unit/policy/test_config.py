"""``backstay.yaml``: what it takes, what it refuses, where."""

from __future__ import annotations

import pytest

from reconciler.model.config import (
    Author,
    ClusterConfig,
    Config,
    Credentials,
    JobSettings,
    ManifestStoreConfig,
    PolicySourceConfig,
    Resources,
)
from reconciler.model.errors import InvalidInput
from reconciler.model.grants import EVERYTHING
from tests.unit.policy.yamltexts import CONFIG, HEAD, MAIN, config

FULL = (
    HEAD
    + """\
kind: Config
cluster: {name: prod-eu, labels: {env: prod}}
policySource:
  url: https://git.example.org/policies.git
  ref: release/1
  path: clusters/policies/
  interval: 5m
  env: GIT_
manifestStore:
  url: file:///srv/captures.git
  author: {name: Backups, email: backups@example.org}
  file: /etc/backstay/git
image: registry.example.org/backstay:1
imagePullPolicy: Never
secrets:
  restic-main: {file: /etc/backstay/restic}
  git: {env: BACKSTAY_GIT_}
sharedKeyInTenants: true
runs: {resources: {requests: {cpu: 100m, memory: 64Mi}}}
movers: {resources: {limits: {memory: 1Gi}}}
maxDelete: 50%
"""
)


def test_a_config_with_every_field() -> None:
    assert config(FULL) == Config(
        cluster=ClusterConfig("prod-eu", {"env": "prod"}),
        policy_source=PolicySourceConfig(
            url="https://git.example.org/policies.git",
            ref="release/1",
            path="clusters/policies",
            interval=300,
            credentials=Credentials(env="GIT_"),
        ),
        manifest_store=ManifestStoreConfig(
            url="file:///srv/captures.git",
            author=Author("Backups", "backups@example.org"),
            credentials=Credentials(file="/etc/backstay/git"),
        ),
        image="registry.example.org/backstay:1",
        image_pull_policy="Never",
        secrets={
            "restic-main": Credentials(file="/etc/backstay/restic"),
            "git": Credentials(env="BACKSTAY_GIT_"),
        },
        shared_key_in_tenants=True,
        runs=JobSettings(Resources(requests={"cpu": "100m", "memory": "64Mi"})),
        movers=JobSettings(Resources(limits={"memory": "1Gi"})),
        max_delete=50,
    )


def test_defaults() -> None:
    value = config()
    assert value.grants == EVERYTHING
    assert EVERYTHING[0].hooks == ()
    assert value.policy_source.ref == "main"
    assert value.policy_source.interval == 60
    assert value.policy_source.credentials == Credentials(secret_ref="git")
    assert value.max_delete == 20
    assert not value.shared_key_in_tenants
    assert config(CONFIG.replace(", secretRef: {name: git}", "")).manifest_store.credentials is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: prod-eu", "name: Prod", "3:17: error: `name` `Prod` is not a DNS-1123 label"),
        ("image: ", "imag: ", "required field `image` is missing"),
        ("kind: Config", "kind: BackupPolicy", "this is not a Config"),
        (HEAD, "apiVersion: v1\n", "1:13: error: this is not a Config"),
        (CONFIG, MAIN, "this is not a Config"),
        (CONFIG, "", "file is empty"),
        (CONFIG, "- x\n", "a Config must be a mapping"),
        (CONFIG, CONFIG + "---\na: b\n", "Config is one document"),
        (CONFIG, CONFIG + "x: [\n", "not YAML"),
        (CONFIG, CONFIG + "grants: [{path: team}]\n", "needs one admin folder, and no folder is"),
        (CONFIG, CONFIG + "grants: []\n", "needs one admin folder, and no folder is"),
        (
            CONFIG,
            CONFIG + "grants: [{path: a, admin: true}, {path: b, admin: true}]\n",
            "needs one admin folder, and a, b are",
        ),
        (
            CONFIG,
            CONFIG + "grants: [{path: a, admin: true}, {path: ./a//}]\n",
            "has two for folder a | grants do not add up",
        ),
        (CONFIG, CONFIG + "grants: [{path: ../a}]\n", "is not a folder in the repository"),
        (CONFIG, CONFIG + 'grants: [{path: "a\\u0308"}]\n', "can't be told from others"),
        (CONFIG, CONFIG + "grants: [{path: a, hooks: true}]\n", "`hooks` must be a list"),
        ("ssh://git@git", "git@git", "is not a Git URL"),
        ("ssh://git@git.example.org/p", "git@git.example.org:p", "is not a URL"),
        ("ssh://git@", "https://user:secret@", "has credentials in it"),
        ("ssh://git@", "https://token@", "has credentials in it"),
        ("ssh://git@", "http://", "would send credentials over plain http"),
        ("ssh://git@git", "ext::sh -c", "is not a Git URL"),
        ('policies.git"', 'policies.git", file: /x', "more than one of secretRef, file and env"),
        ('.git", secret', '.git", ref: "../x", secret', "is not a branch name"),
        ('.git", secret', '.git", ref: "-x", secret', "is not a branch name"),
        ('.git", secret', '.git", ref: "a.lock", secret', "is not a branch name"),
        ('.git", secret', '.git", path: /x, secret', "is not a folder in the repository"),
        ('.git", secret', '.git", path: a/../b, secret', "is not a folder in the repository"),
        ('.git", secret', '.git", interval: 2d, secret', "is longer than a day"),
        (
            '.git", secret',
            '.git", interval: 60, secret',
            "`60` has no unit | such as 1m",
        ),
        ("{name: git}", "git", "`secretRef` must be a mapping, not `git`"),
        (CONFIG, CONFIG + "secrets: {a: {}}\n", "needs exactly one of file and env"),
        (CONFIG, CONFIG + "secrets: {a: {env: git}}\n", "is not a prefix of environment"),
        (CONFIG, CONFIG + "secrets: {A_b: {env: G_}}\n", "`A_b` is not a DNS-1123 name"),
        (CONFIG, CONFIG + "maxDelete: 120%\n", "is not a percentage"),
        (CONFIG, CONFIG + "maxDelete: 20\n", "`20` has no unit | such as 20%"),
        (CONFIG, CONFIG + "sharedKeyInTenants: yes\n", "`yes` is read as a string"),
        (CONFIG, CONFIG + "runs: {resources: {limits: {cpu: lots}}}\n", "is not a quantity"),
        (CONFIG, CONFIG + "runs: {resources: {limits: {gpu: '1'}}}\n", "`gpu`"),
        ("captures.git", 'captures.git", author: {name: "<x>"}, ref: "', "has < or > in it"),
    ],
)
def test_mistakes(old: str, new: str, message: str) -> None:
    assert old in CONFIG
    with pytest.raises(InvalidInput) as caught:
        config(CONFIG.replace(old, new, 1))
    shown = "\n".join(f"{problem} | {problem.hint}" for problem in caught.value.problems)
    assert message in shown
    assert "secret@" not in shown
    assert caught.value.exit_code == 4
