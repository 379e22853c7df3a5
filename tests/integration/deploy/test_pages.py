"""What deploy/README.md and docs/recovery.md tell people to type works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import yaml

from reconciler.capture.fingerprints import repository_password
from reconciler.policy import parse_config, parse_files
from tests.integration.deploy.test_render import DEPLOY, KUBECTL, ROOT

INSTALL = (DEPLOY / "README.md").read_text()
RECOVERY = (ROOT / "docs/recovery.md").read_text()
# The cluster is the only thing that is left out: kubectl says what it would send.
WITHOUT_A_CLUSTER = f"""
set -eu
docker() {{ :; }}
backstay() {{ :; }}
git() {{ :; }}
kubectl() {{
  case "$*" in
    *" create "*) {KUBECTL} "$@" --dry-run=client -o yaml; echo --- ;;
    "apply -k "*) {KUBECTL} kustomize "$3" > rendered.yaml ;;
    "apply -f "*) test -f "$3" ;;
    *" annotate "*|*" logs "*) ;;
    *) echo "unknown: kubectl $*" >&2; return 1 ;;
  esac
}}
"""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def bash(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_installation(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for name in ("identity", "known_hosts"):
        (tmp_path / name).write_text(name)
    sent = bash(WITHOUT_A_CLUSTER + "\n".join(blocks(INSTALL, "sh")), tmp_path)
    made = [found for found in yaml.safe_load_all(sent) if found]
    secrets = {found["metadata"]["name"]: set(found["data"]) for found in made}
    assert secrets == {
        "backstay-policy-git": {"identity", "known_hosts"},
        "backstay-manifest-git": {"identity", "known_hosts"},
        "restic-main": {"RESTIC_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
    }
    assert (tmp_path / "restic-main.env").stat().st_mode & 0o077 == 0
    kinds = {
        found["kind"] for found in yaml.safe_load_all((tmp_path / "rendered.yaml").read_text())
    }
    assert {"Deployment", "ConfigMap", "ValidatingAdmissionPolicy"} <= kinds


def test_the_examples_config_takes_the_first_policy() -> None:
    config = parse_config("backstay.yaml", (DEPLOY / "examples/small/backstay.yaml").read_bytes())
    policies = {p.name: p.read_bytes() for p in (ROOT / "policies").glob("*.yaml")}
    parsed = parse_files(policies, config)
    assert parsed.documents
    assert not parsed.problems


def test_the_keys_of_the_recovery(tmp_path: Path) -> None:
    master = "0123456789abcdef" * 4
    text = f"RESTIC_PASSWORD={master}\nAWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY=a+/b=c==\n"
    (tmp_path / "restic-main.env").write_text(text)
    for name in ("identity", "known_hosts"):
        (tmp_path / name).write_text(name)
    shell = blocks(RECOVERY, "sh")
    keys = next(block for block in shell if "restic-main.env" in block)
    derive = next(block for block in shell if "openssl kdf" in block)
    found = bash(f"set -eu\n{keys}{derive}derive shop", tmp_path)
    assert found == repository_password(master.encode(), "prod-eu", "shop")
    folder = tmp_path / "credentials/restic-main"
    assert (folder / "AWS_SECRET_ACCESS_KEY").read_text() == "a+/b=c=="
    assert folder.stat().st_mode & 0o077 == 0


def test_the_config_of_the_recovery_needs_no_cluster() -> None:
    (text,) = blocks(RECOVERY, "yaml")
    config = parse_config("recovery.yaml", text.encode())
    assert config.shared_key_in_tenants
    assert config.credentials_of("restic-main").file == "credentials/restic-main"
    for found in (config.policy_source.credentials, config.manifest_store.credentials):
        assert found is not None
        assert found.file == "credentials/git"
