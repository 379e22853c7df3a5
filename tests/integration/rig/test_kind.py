"""What kind and docker are asked to do, seen by stand-ins on PATH that write it down.

There is no docker where these tests were made: they hold the command lines, not what kind does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.rig.cluster import images, providers
from tests.rig.cluster.errors import RigError

STAND_IN = """\
#!{python}
import json, pathlib, sys
name = pathlib.Path(sys.argv[0]).name
line = json.dumps([name, *sys.argv[1:], "" if "-" not in sys.argv else sys.stdin.read()])
with open({log!r}, "a") as log:
    log.write(line + "\\n")
if name == "docker":
    config = [{{"Subnet": "fc00::/64", "Gateway": "fc00::1"}}, {{"Gateway": "172.18.0.1"}}]
    print(json.dumps([{{"Name": "kind", "IPAM": {{"Config": config}}}}]))
if "create" in sys.argv:
    pathlib.Path(sys.argv[sys.argv.index("--kubeconfig") + 1]).write_text("{{}}")
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins on PATH, and let the rig's images be files; return what they write."""
    binaries, log = tmp_path / "bin", tmp_path / "log"
    binaries.mkdir()
    for name in ("kind", "docker"):
        (binaries / name).write_text(STAND_IN.format(python=sys.executable, log=str(log)))
        (binaries / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    monkeypatch.setenv("BACKSTAY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv(providers.CHOSEN, "kind")
    return log


def _asked(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_cluster_is_made_used_and_deleted(log: Path, tmp_path: Path) -> None:
    opened = providers.Kind("trial")
    own = [images.Image("localhost/own:1", tmp_path / "own.tar")]
    opened.create(1, own)
    assert opened.kubeconfig == tmp_path / "state/kind-trial/kubeconfig"
    assert opened.kubeconfig.exists()
    assert opened.host_address == "172.18.0.1"
    opened.load_image(tmp_path / "image.tar", "localhost/it:1")
    opened.close()
    assert not opened.kubeconfig.exists()
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane"}],
    }
    kubeconfig = ["--kubeconfig", str(tmp_path / "state/kind-trial/kubeconfig")]
    load = ["kind", "load", "image-archive"]
    assert _asked(log) == [
        ["kind", "create", "cluster", "--name", "trial", "--config", "-", *kubeconfig,
         "--wait", "180s", json.dumps(config)],
        *([*load, str(image.archive), "--name", "trial", ""] for image in own),
        ["docker", "network", "inspect", "kind", ""],
        [*load, str(tmp_path / "image.tar"), "--name", "trial", ""],
        ["kind", "delete", "cluster", "--name", "trial", *kubeconfig, ""],
    ]  # fmt: skip


def test_two_nodes_are_two_workers(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(providers.KIND_IMAGE, "kindest/node:v1")
    providers.Kind("trial").create(2, [])
    created = _asked(log)[0]
    assert created[-3:-1] == ["--image", "kindest/node:v1"]
    roles = [node["role"] for node in json.loads(created[-1])["nodes"]]
    assert roles == ["control-plane", "worker", "worker"]


def test_what_is_left_of_a_cluster_is_deleted_by_its_name(log: Path) -> None:
    providers.discard("half")
    assert _asked(log)[0][:5] == ["kind", "delete", "cluster", "--name", "half"]


def test_without_kind_the_message_says_what_is_missing(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RigError, match="BACKSTAY_TEST_PROVIDER=kind needs kind and docker"):
        providers.open_cluster("trial")


def test_another_provider_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(providers.CHOSEN, "minikube")
    with pytest.raises(RigError, match="use built \\(the rig's own\\) or kind"):
        providers.open_cluster("trial")
