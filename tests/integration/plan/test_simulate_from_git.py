"""``backstay simulate`` from a Git server: what is pushed is simulated, and no cluster is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.sshd import Sshd
from tests.unit.policy.yamltexts import HEAD, MAIN, SHOP


def test_the_policy_repository_is_simulated_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    hashed = SHOP.replace("17 4 * * *", "H H * * *")
    elsewhere = SHOP.replace("name: shop", "name: mail").replace(
        "spec:\n", "spec:\n  clusters: {matchLabels: {env: test}}\n"
    )
    with Sshd(tmp_path / "sshd") as server:
        server.create("policies")
        PolicyRepository(server.path("policies")).push(
            {
                "live/main.yaml": MAIN.encode(),
                "live/shop.yaml": hashed.encode(),
                "live/mail.yaml": elsewhere.encode(),
            }
        )
        keys = tmp_path / "keys"
        keys.mkdir(mode=0o700)
        for name, data in server.secret().items():
            (keys / name).write_bytes(data)
            (keys / name).chmod(0o600)
        (tmp_path / "backstay.yaml").write_text(f"""{HEAD}kind: Config
cluster: {{name: prod-eu, labels: {{env: prod}}}}
policySource: {{url: "{server.url("policies")}", path: live, file: {keys}}}
manifestStore: {{url: "{server.url("policies")}", file: {keys}}}
image: registry.example.org/backstay:1
sharedKeyInTenants: true
""")
        asked = ["simulate", "--from", "2026-11-21", "--days", "7", "-o", "json"]
        assert main.run(asked) == 0, capsys.readouterr().err
    document = json.loads(capsys.readouterr().out)
    assert document["cluster"] == "prod-eu"
    (found,) = document["policies"]
    assert (found["name"], found["compiledCron"]) == ("shop", "48 12 * * *")
    assert len(found["runs"]) == 7
