"""Where the keys of a Secret come from, and for which URLs they may be used."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from reconciler.adapters.credentials import (
    URL_PREFIX,
    CredentialsResolver,
    SecretValue,
    restic_environment,
)
from reconciler.model.config import Credentials
from reconciler.model.errors import Refused
from tests.fakes.cluster import FakeCluster
from tests.unit.engine.run_world import SYSTEM, manifest

URL = "s3:https://s3.example.org/backups/prod-eu/shop"
KEY = "correct-horse-battery-staple-0123456789"


def resolver(
    cluster: FakeCluster | None = None,
    mounted: Path = Path("/nowhere"),
    environment: dict[str, str] | None = None,
) -> CredentialsResolver:
    return CredentialsResolver(
        reader=cluster, namespace=SYSTEM, mounted=mounted, environment=environment or {}
    )


def cluster_with(data: dict[str, str], annotations: dict[str, str] | None = None) -> FakeCluster:
    cluster = FakeCluster()
    cluster.put(manifest("Namespace", SYSTEM, ""))
    metadata = {"annotations": annotations} if annotations else {}
    cluster.put(manifest("Secret", "restic-main", SYSTEM, data=data, metadata=metadata))
    return cluster


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_secret_is_read_from_the_cluster_with_its_annotations() -> None:
    cluster = cluster_with({"RESTIC_PASSWORD": coded(KEY)}, {URL_PREFIX: "s3:https://s3."})
    found = resolver(cluster).resolve(Credentials(secret_ref="restic-main"))
    assert found.data == {"RESTIC_PASSWORD": KEY.encode()}
    assert found.annotations == {URL_PREFIX: "s3:https://s3."}
    assert found.source == f"Secret {SYSTEM}/restic-main"
    assert KEY not in repr(found)


def test_a_secret_without_data_is_empty() -> None:
    found = resolver(cluster_with({})).resolve(Credentials(secret_ref="restic-main"))
    assert (found.data, found.annotations) == ({}, {})


def test_a_secret_that_is_missing_is_named() -> None:
    with pytest.raises(Refused, match=f"Secret {SYSTEM}/other does not exist") as caught:
        resolver(cluster_with({})).resolve(Credentials(secret_ref="other"))
    assert caught.value.hint


def test_without_a_cluster_the_hint_says_what_config_takes_instead() -> None:
    with pytest.raises(Refused, match="without a cluster") as caught:
        resolver().resolve(Credentials(secret_ref="restic-main"))
    assert "secrets.restic-main" in caught.value.hint


def test_data_that_is_not_base64_is_refused_without_being_shown() -> None:
    with pytest.raises(Refused, match="not base64") as caught:
        resolver(cluster_with({"k": "%%secret%%"})).resolve(Credentials(secret_ref="restic-main"))
    assert "%%secret%%" not in caught.value.message


def test_a_mounted_secret_comes_before_the_clusters(tmp_path: Path) -> None:
    folder = tmp_path / "restic-main"
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    (folder / "identity").write_bytes(b"key\n")
    cluster = cluster_with({"identity": coded("other")})
    found = resolver(cluster, tmp_path).resolve(Credentials(secret_ref="restic-main"))
    assert found.data == {"identity": b"key\n"}
    assert cluster.requests["get"] == 0


def test_a_folder_is_one_file_per_key(tmp_path: Path) -> None:
    (tmp_path / "RESTIC_PASSWORD").write_text(f"{KEY}\n")
    found = resolver().resolve(Credentials(file=str(tmp_path)))
    assert found.annotations is None
    assert restic_environment(found, url=URL)["RESTIC_PASSWORD"] == KEY


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"folder .*/none can't be read") as caught:
        resolver().resolve(Credentials(file=str(tmp_path / "none")))
    assert "one file per key" in caught.value.hint


def test_variables_are_found_by_their_prefix() -> None:
    environment = {"GIT_CA_CRT": "cert", "GIT_IDENTITY": "key", "HOME": "/root", "GIT_": "x"}
    found = resolver(environment=environment).resolve(Credentials(env="GIT_"))
    assert found.data["ca.crt"] == b"cert"
    assert found.data["identity"] == b"key"
    assert "HOME" not in found.data
    environment = {"MAIN_RESTIC_PASSWORD": KEY, "MAIN_AWS_ACCESS_KEY_ID": "id"}
    found = resolver(environment=environment).resolve(Credentials(env="MAIN_"))
    assert restic_environment(found, url=URL) == {
        "RESTIC_PASSWORD": KEY,
        "AWS_ACCESS_KEY_ID": "id",
    }


def test_a_prefix_without_a_variable_is_refused() -> None:
    with pytest.raises(Refused, match="begins with MAIN_") as caught:
        resolver().resolve(Credentials(env="MAIN_"))
    assert "MAIN_RESTIC_PASSWORD" in caught.value.hint


def test_only_what_restic_reads_goes_to_movers() -> None:
    data = {
        "RESTIC_PASSWORD": KEY.encode(),
        "AWS_SECRET_ACCESS_KEY": b"key",
        "RESTIC_PASSWORD_COMMAND": b"sh -c id",
        "LD_PRELOAD": b"/data/x.so",
        "identity": b"an ssh key",
    }
    assert set(restic_environment(SecretValue("folder x", data), url=URL)) == {
        "RESTIC_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
    }


def secret(prefix: str | None) -> SecretValue:
    annotations = {URL_PREFIX: prefix} if prefix is not None else {}
    return SecretValue(
        "Secret backstay-system/restic-main", {"RESTIC_PASSWORD": KEY.encode()}, annotations
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "s3:https://s3.example.org/backups/prod-eu",
        "s3:https://s3.example.org/backups/",
        "s3:https://s3.example.org/",
        URL,
    ],
)
def test_a_secret_may_be_used_below_its_prefix(prefix: str) -> None:
    assert restic_environment(secret(prefix), url=URL)["RESTIC_PASSWORD"] == KEY


@pytest.mark.parametrize(
    "prefix",
    [
        None,
        "",
        "s3:https://s3.example.com/",
        "s3:https://s3.example.org/backups/prod",
        "s3:https://s3.example.org/backups/prod-e",
        "s3:https://s3.example",
        "s3:https://s3.example.org/backups/prod-eu/shop/deeper",
    ],
)
def test_a_secret_may_not_be_used_elsewhere(prefix: str | None) -> None:
    with pytest.raises(Refused, match="may not be used for") as caught:
        restic_environment(secret(prefix), url=URL)
    assert URL_PREFIX in caught.value.hint
    assert KEY not in caught.value.message


def test_a_secret_may_not_be_used_above_its_prefix_by_a_detour() -> None:
    with pytest.raises(Refused, match="may not be used for"):
        restic_environment(secret(URL), url=f"{URL}/../../other")


def test_a_prefix_may_end_with_a_host() -> None:
    found = restic_environment(secret("sftp:backup@host:"), url="sftp:backup@host:srv/shop")
    assert found["RESTIC_PASSWORD"] == KEY
    with pytest.raises(Refused):
        restic_environment(secret("sftp:backup@host"), url="sftp:backup@host.evil.org:srv/shop")


def test_a_secret_without_a_master_password_is_refused() -> None:
    with pytest.raises(Refused, match="no key RESTIC_PASSWORD") as caught:
        restic_environment(SecretValue("folder x", {"RESTIC_PASSWORD": b"\n"}), url=URL)
    assert caught.value.hint
