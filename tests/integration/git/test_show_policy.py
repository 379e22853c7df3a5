"""``backstay show policy`` from a Git server: what is pushed is shown, and no cluster is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.sshd import Sshd
from tests.unit.policy.test_effective import FILES
from tests.unit.policy.yamltexts import HEAD


def test_the_policy_repository_is_read_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with Sshd(tmp_path / "sshd") as server:
        server.create("policies")
        repository = PolicyRepository(server.path("policies"))
        revision = repository.push({f"live/{name}": data for name, data in FILES.items()})
        keys = tmp_path / "keys"
        keys.mkdir(mode=0o700)
        for name, data in server.secret().items():
            (keys / name).write_bytes(data)
            (keys / name).chmod(0o600)
        config = f"""{HEAD}kind: Config
cluster: {{name: prod-eu, labels: {{env: prod}}}}
policySource: {{url: "{server.url("policies")}", path: live, file: {keys}}}
manifestStore: {{url: "{server.url("policies")}", file: {keys}}}
image: registry.example.org/backstay:1
sharedKeyInTenants: true
"""
        (tmp_path / "backstay.yaml").write_text(config)
        assert main.run(["show", "policy", "shop", "-o", "json"]) == 0, capsys.readouterr().err
        document = json.loads(capsys.readouterr().out)
        assert (document["revision"], document["elsewhere"]) == (revision, None)
        assert document["profile"]["source"] == "live/admin/profiles.yaml:3"
        (tmp_path / "backstay.yaml").write_text(config.replace("path: live", "path: gone"))
        assert main.run(["show", "policy", "shop"]) == 2
        assert f"the folder gone is not in {revision}" in capsys.readouterr().err
