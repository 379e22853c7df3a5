"""``backstay deliver`` as it is typed: its options reach the cluster, Git and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.cli.deliver import command
from reconciler.model.errors import Refused
from tests.integration.kube.server import Reply, serving
from tests.integration.kube.test_http import kubeconfig
from tests.rig.servers.sshd import Sshd
from tests.unit.policy.yamltexts import CONFIG


def test_before_the_first_run_nothing_can_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    keys = tmp_path / "git"
    keys.mkdir()
    with Sshd(tmp_path / "sshd") as git, serving() as api:
        git.create("manifests")
        for name, data in git.secret().items():
            (keys / name).write_bytes(data)
        home = {"metadata": {"name": "kube-system", "uid": "u-1"}}
        api.routes["/api/v1/namespaces/kube-system"] = Reply(200, home)
        api.routes["/version"] = Reply(200, {"gitVersion": "v1.34.1"})
        config = tmp_path / "backstay.yaml"
        config.write_text(
            CONFIG.replace(
                'manifestStore: {url: "ssh://git@git.example.org/captures.git",'
                " secretRef: {name: git}}",
                f'manifestStore: {{url: "{git.url("manifests")}", file: {keys}}}',
            )
        )
        done = CliRunner().invoke(
            command,
            ["shop", "--plan", "--config", str(config), "--kubeconfig",
             str(kubeconfig(tmp_path / "kube", api.url))],
            standalone_mode=False,
        )  # fmt: skip
        asked = {request.path for request in api.requests}
    assert isinstance(done.exception, Refused), done.exception
    assert done.exception.message == "no run of cluster prod-eu ever made a repository of _cluster"
    assert "/api/v1/namespaces/kube-system" in asked
