"""The values travel as JSON: same value, same bytes, and back without a loss."""

from __future__ import annotations

import json

import pytest

from reconciler.model import jsonform
from reconciler.model.config import (
    ClusterConfig,
    Config,
    Credentials,
    JobSettings,
    ManifestStoreConfig,
    PolicySourceConfig,
    Resources,
)
from reconciler.model.errors import NotSupported
from reconciler.model.policy import (
    BackupPolicy,
    CopyMethod,
    NamespaceSelector,
    Objectives,
    Repository,
    Retention,
    Schedule,
    Selector,
    VolumeRule,
    Volumes,
    compiled_digest,
    compiled_text,
    load_compiled,
)
from tests.conftest import Golden

POLICY = BackupPolicy(
    name="shop",
    schedule=Schedule("17 2 * * *", "Europe/Berlin"),
    objectives=Objectives(rpo=93600),
    selector=Selector(
        namespaces=NamespaceSelector(names=("shop", "shop-*"), match_labels={"b": "2", "a": "1"})
    ),
    volumes=Volumes(
        repository="main",
        rules=(
            VolumeRule(claims=("*-cache",), copy_method=CopyMethod.SKIP, reason="rebuilt on start"),
        ),
        copy_method=CopyMethod.DIRECT,
    ),
    retention=Retention(keep_daily=7, keep_within="1y"),
)
MAIN = Repository(name="main", url="s3:https://s3/b/{cluster}/{namespace}", secret_ref="restic")
OTHER = Repository(name="other", url="rest:https://r/{cluster}/{namespace}", secret_ref="x")


def test_policy_survives_json() -> None:
    assert BackupPolicy.from_json(json.loads(json.dumps(POLICY.to_json()))) == POLICY


def test_compiled_text_holds_the_policy_and_its_repository_only() -> None:
    compiled = load_compiled(compiled_text(POLICY, [OTHER, MAIN]))
    assert compiled.policy == POLICY
    assert compiled.repositories == (MAIN,)
    assert compiled.repository == MAIN


def test_compiled_text_is_the_same_for_the_same_inputs(golden: Golden) -> None:
    again = BackupPolicy.from_json(POLICY.to_json())
    text = compiled_text(POLICY, [MAIN, OTHER])
    assert compiled_text(again, [OTHER, MAIN]) == text
    assert compiled_digest(text) == compiled_digest(compiled_text(POLICY, [MAIN]))
    # A changed form gives every installation new ConfigMaps: say so in the changelog.
    golden("policy/compiled.json", text)


def test_compiled_text_needs_its_repository() -> None:
    with pytest.raises(ValueError, match="no Repository main"):
        compiled_text(POLICY, [OTHER])


def test_compiled_text_of_another_format_is_refused() -> None:
    data = json.loads(compiled_text(POLICY, [MAIN]))
    with pytest.raises(NotSupported, match="format 2"):
        load_compiled(json.dumps(data | {"formatVersion": 2}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suspendd": True}, "BackupPolicy: unknown field 'suspendd'"),
        ({"suspend": 0}, "BackupPolicy.suspend: expected bool, found int"),
        ({"name": None}, "BackupPolicy.name: expected str, found NoneType"),
        ({"retention": {"keepDaily": True}}, "keepDaily: expected int, found bool"),
        ({"volumes": {"repository": "m", "copyMethod": "Tape"}}, "unknown value 'Tape'"),
        ({"volumes": {}}, "BackupPolicy.volumes: .*repository"),
        ({"volumes": {"repository": "m", "exclude": [1]}}, r"exclude\[0\]: expected str"),
    ],
)
def test_foreign_json_is_refused_with_its_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BackupPolicy.from_json(POLICY.to_json() | change)


def test_missing_fields_take_their_defaults() -> None:
    data = POLICY.to_json()
    del data["suspend"], data["manifests"]
    assert BackupPolicy.from_json(data) == POLICY


def test_url_for_fills_in_cluster_and_namespace() -> None:
    assert MAIN.url_for("prod-eu", "_cluster") == "s3:https://s3/b/prod-eu/_cluster"


def test_retention_in_restics_words() -> None:
    assert POLICY.retention.words() == {"keepDaily": 7, "keepWithin": "1y"}


def test_config_survives_json() -> None:
    config = Config(
        cluster=ClusterConfig("prod-eu", {"env": "prod"}),
        policy_source=PolicySourceConfig(
            url="ssh://git@git.example.org/policies.git", credentials=Credentials(env="GIT_")
        ),
        manifest_store=ManifestStoreConfig(url="https://git.example.org/captures.git"),
        image="backstay:1",
        secrets={"restic": Credentials(file="/etc/restic")},
        movers=JobSettings(Resources(limits={"memory": "1Gi"})),
    )
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.credentials_of("restic") == Credentials(file="/etc/restic")
    assert config.credentials_of("other") == Credentials(secret_ref="other")


def test_environment_names_of_keys() -> None:
    assert Credentials(env="GIT_").variable("ca.crt") == "GIT_CA_CRT"
    assert Credentials(env="R_").variable("known-hosts") == "R_KNOWN_HOSTS"
    assert jsonform.camel("shared_key_in_tenants") == "sharedKeyInTenants"
