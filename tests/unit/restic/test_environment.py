"""What a restic process gets to see, and what is masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters import resticenv
from reconciler.model.volumes import RepositoryAccess


def access(**environment: str) -> RepositoryAccess:
    """Access with these variables from a Secret."""
    return RepositoryAccess(
        name="main", namespace="n", url="s3:http://s3/b", secret="s", environment=environment
    )


def test_only_known_variables_of_a_secret_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("KUBERNETES_TOKEN", "of-the-process")
    monkeypatch.setenv("RESTIC_PASSWORD", "of-the-process")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    given = access(
        RESTIC_PASSWORD="pw-pw-pw",
        AWS_ACCESS_KEY_ID="AKIA",
        AWS_SESSION_TOKEN="token",
        RESTIC_PASSWORD_COMMAND="rm -rf /",
        RESTIC_PASSWORD_FILE="/etc/passwd",
        RESTIC_REPOSITORY="s3:http://elsewhere/",
        LD_PRELOAD="/tmp/evil.so",
        PATH="/tmp/evil",
        unknown="x",
    )
    env = resticenv.environment(given, tmp_path / "a" / "cache")
    assert (tmp_path / "a" / "cache").is_dir()
    assert env["RESTIC_PASSWORD"] == "pw-pw-pw"
    assert env["RESTIC_REPOSITORY"] == "s3:http://s3/b"
    assert (env["PATH"], env["HTTPS_PROXY"]) == ("/usr/bin", "http://proxy")
    assert env["AWS_SESSION_TOKEN"] == "token"
    assert env["HOME"] == str(tmp_path / "a" / "cache")
    for name in ("RESTIC_PASSWORD_COMMAND", "RESTIC_PASSWORD_FILE", "LD_PRELOAD", "unknown"):
        assert name not in env
    assert "of-the-process" not in env.values()


def test_secrets_are_masked_and_names_of_regions_are_not() -> None:
    given = access(
        RESTIC_PASSWORD="long-password",
        AWS_SECRET_ACCESS_KEY="long-password-and-more",
        AWS_DEFAULT_REGION="eu-central-1",
        RESTIC_COMPRESSION="auto",
        HOME="/nowhere",
        B2_ACCOUNT_KEY="abc",
    )
    assert resticenv.secrets(given) == ("long-password-and-more", "long-password")


def test_a_repr_shows_no_secret() -> None:
    assert "long-password" not in repr(access(RESTIC_PASSWORD="long-password"))
