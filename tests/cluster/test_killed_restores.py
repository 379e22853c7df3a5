"""A restore on a laptop, killed where it hurts, and begun again each time, until it ends.

One application is lost once. Each restore is held at its point by the proxy before the API server,
or by the shim before a mover's restic, and gets SIGKILL there. The next one goes on at once: it
sees that the holder of the Lease was a process of this machine, and is no more.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.rig.gate import Gate
from tests.rig.proxies import ApiProxy
from tests.rig.stage import Stage, faults, shop
from tests.rig.stage.runs import run_again
from tests.rig.stage.stage import NAMESPACE

MARK = "backstay.dev/restoring"
CLAIMS = {"files", "data-db-0", "data-db-1"}


@contextmanager
def killed(stage: Stage, api_proxy: ApiProxy) -> Iterator[None]:
    """Starts a restore; kills it at the end of the block, when it is held."""
    command = [str(Path(sys.executable).parent / "backstay"), "restore", "shop", "--yes"]
    environment = stage.environment() | {"KUBECONFIG": str(api_proxy.kubeconfig(stage.cluster))}
    said = stage.folder / "killed.log"
    with said.open("a") as log:
        running = subprocess.Popen(
            command, env=environment, cwd=stage.folder, stdout=log, stderr=log
        )
    try:
        yield
        assert running.poll() is None, said.read_text()
    finally:
        running.kill()
        code = running.wait()
    assert code == -signal.SIGKILL


def there(stage: Stage, kinds: str) -> dict[str, Any]:
    """kind/name → object, of the application's namespace."""
    found = stage.objects("-n", "shop", kinds)
    return {f"{raw['kind']}/{raw['metadata']['name']}": raw for raw in found}


def marked(stage: Stage) -> set[str]:
    """Claims that a restore has begun and not ended."""
    found = there(stage, "pvc").values()
    return {
        raw["metadata"]["name"]
        for raw in found
        if MARK in (raw["metadata"].get("annotations") or {})
    }


def versions(stage: Stage) -> dict[str, str]:
    """uid and resource version of what nothing but a restore makes."""
    kinds = "configmaps,secrets,roles,rolebindings,services,products"
    return {
        key: f"{raw['metadata']['uid']}/{raw['metadata']['resourceVersion']}"
        for key, raw in there(stage, kinds).items()
        if faults.OURS not in (raw["metadata"].get("labels") or {})
        and raw["metadata"]["name"] != "kube-root-ca.crt"
    }


def test_a_restore_that_is_killed_again_and_again_brings_everything_back(
    gated_stage: Stage, gate: Gate, api_proxy: ApiProxy, marker: str
) -> None:
    stage = gated_stage
    run_again(stage)
    files = shop.listing(stage)
    stage.kubectl("delete", "namespace", "shop", "--timeout=300s")
    stage.kubectl("delete", "crd", "products.shop.example.org")

    # After the plan, as it takes the Lease.
    with api_proxy.held("GET", "/leases/backstay-restore") as hold, killed(stage, api_proxy):
        hold.wait(300)
    assert not stage.exists("namespace", "shop")

    # In the middle of configuration.
    with api_proxy.held("POST", "/namespaces/shop/secrets") as hold, killed(stage, api_proxy):
        hold.wait(300)
        assert not there(stage, "pvc,deployments,statefulsets")
    early = versions(stage)
    assert any(key.startswith("ServiceAccount") for key in there(stage, "serviceaccounts"))

    # Between the claims and their movers.
    with api_proxy.held("PATCH", "/namespaces/shop/jobs") as hold, killed(stage, api_proxy):
        hold.wait(300)
        assert marked(stage) == CLAIMS
        assert not faults.leftovers(stage)

    # While restic restores: the movers go on.
    with gate.held("restic", "restore", pod="backstay-") as mover:
        with killed(stage, api_proxy):
            mover.wait(300)
        assert marked(stage) == CLAIMS
        assert any(left.startswith("Secret/") for left in faults.leftovers(stage))
        said = stage.backstay("doctor", "-o", "json", check=False).stdout
        assert "leftovers/restoring-claim" in said
    assert not there(stage, "deployments,statefulsets")

    # A claim is full, its mover gone, its mark not.
    with api_proxy.held("PATCH", "/persistentvolumeclaims/") as hold, killed(stage, api_proxy):
        hold.wait(300)
        assert marked(stage) == CLAIMS
        assert not there(stage, "deployments,statefulsets")

    # Before the workloads: all claims are full.
    with (
        api_proxy.held("POST", "/(deployments|statefulsets|cronjobs)") as hold,
        killed(stage, api_proxy),
    ):
        hold.wait(300)
        assert not marked(stage)
        assert not faults.leftovers(stage)

    late = versions(stage)
    assert {key: late.get(key) for key in early} == early
    and_to_the_end(stage, files, late, marker)


def and_to_the_end(stage: Stage, files: dict[str, str], late: dict[str, str], marker: str) -> None:
    """The last restore is not killed: all is there, nothing was made twice, nothing is left."""
    done = stage.backstay("restore", "shop", "--yes")
    shop.wait_ready(stage)
    assert shop.listing(stage) == files
    now = versions(stage)
    assert {key: now.get(key) for key in late} == late
    assert not marked(stage)
    assert not faults.leftovers(stage)
    template = "go-template={{.data.password|base64decode}}"
    assert stage.kubectl("-n", "shop", "get", "secret", "db", "-o", template) == marker
    # What was sent beside the one that was held may have been all: then there was nothing to do,
    # and the Lease of the dead one runs out by itself.
    if "Nothing to do" not in done.stdout:
        (lease,) = stage.objects("-n", NAMESPACE, "lease", "backstay-restore")
        assert not lease["spec"].get("holderIdentity")
    again = json.loads(stage.backstay("restore", "shop", "--plan", "-o", "json").stdout)
    assert {entry["action"] for entry in again["objects"]} == {"keep", "skip"}
    assert not [entry for entry in again["objects"] if entry["differs"]]
