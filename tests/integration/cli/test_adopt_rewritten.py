"""``backstay adopt --rewritten`` as it is typed: it reaches the cluster's Lease and Git."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.cli import main
from reconciler.model.store import Write
from tests.integration.kube.server import Reply, serving
from tests.integration.kube.test_http import kubeconfig
from tests.rig.servers.sshd import Sshd
from tests.unit.kube.test_discovery import entry, group, version
from tests.unit.policy.yamltexts import CONFIG

BRANCH = "clusters/prod-eu/shop"
GROUP = "coordination.k8s.io"
LEASE = f"/apis/{GROUP}/v1/namespaces/backstay-system/leases/backstay-tip-shop"
OLD = "0123456789" * 4


def _push(git: Sshd, folder: Path) -> str:
    """A branch that says it takes the place of another tip."""
    with GitManifestStore(
        git.url("manifests"), author_name="B", author_email="b@example.org",
        credentials=parse_credentials(git.secret(), "Secret git"), workdir=folder,
    ) as store:  # fmt: skip
        text = f"x\n\nBackstay-Policy: shop\nBackstay-Rewritten: {OLD}\n"
        when = datetime(2026, 11, 21, tzinfo=UTC)
        tip = store.commit(BRANCH, None, [Write("a", b"a")], text, when=when)
        store.push({BRANCH: tip})
    return tip


def test_the_branchs_tip_is_written_into_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKSTAY_CACHE_DIR", str(tmp_path / "cache"))
    keys = tmp_path / "git"
    keys.mkdir()
    with Sshd(tmp_path / "sshd") as git, serving() as api:
        git.create("manifests")
        for name, data in git.secret().items():
            (keys / name).write_bytes(data)
        tip = _push(git, tmp_path / "push")
        metadata = {"name": "backstay-tip-shop", "resourceVersion": "7"}
        told = {"backstay.dev/tip": f"{BRANCH}@sha1:{OLD}"}
        lease = {"kind": "Lease", "metadata": {**metadata, "annotations": told}}
        api.routes[LEASE] = Reply(200, lease)
        leases = version("v1", entry("leases", "Lease"))
        groups = {"/api": [group("", version("v1"))], "/apis": [group(GROUP, leases)]}
        for path, items in groups.items():
            api.routes[path] = Reply(200, {"kind": "APIGroupDiscoveryList", "items": items})
        config = tmp_path / "backstay.yaml"
        config.write_text(
            CONFIG.replace(
                'manifestStore: {url: "ssh://git@git.example.org/captures.git",'
                " secretRef: {name: git}}",
                f'manifestStore: {{url: "{git.url("manifests")}", file: {keys}}}',
            )
        )
        words = ["adopt", "--rewritten", "shop", "--tip", tip, "--config", str(config),
                 "--kubeconfig", str(kubeconfig(tmp_path / "kube", api.url)),
                 "-o", "json"]  # fmt: skip
        assert main.run(words) == 2, "nobody can answer"
        asked = capsys.readouterr().err
        assert f"remembered is {OLD}; the branch has {tip}, which says that the history" in asked
        assert "add --yes" in asked
        assert [one.method for one in api.requests if one.path == LEASE] == ["GET"]
        assert main.run([*words, "--yes"]) == 0
        (patch,) = [one for one in api.requests if one.method == "PATCH"]
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "formatVersion": 1, "branch": BRANCH, "tip": tip, "before": OLD, "rewrittenBy": tip,
        "accepted": [], "left": [],
    }  # fmt: skip
    assert patch.path == LEASE
    written = patch.body["metadata"]
    assert written["annotations"] == {"backstay.dev/tip": f"{BRANCH}@sha1:{tip}"}
    assert written["resourceVersion"] == "7"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rewritten", "shop"], "go together"),
        (["--tip", OLD], "go together"),
        (["--rewritten", "shop", "--tip", OLD[:39]], "give all 40 (or 64) digits"),
        (["--rewritten", "shop", "--tip", ""], "give all 40 (or 64) digits"),
    ],
)
def test_the_commit_is_named_in_full(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["adopt", *words]) == 2
    assert told in capsys.readouterr().err
