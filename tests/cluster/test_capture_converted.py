"""Custom resources that a webhook converts, with a real one, and with one that is away.

The objects are stored in the old version, and captured in the one that the kind prefers: each goes
through the webhook, on its way out and when it is applied again. While the webhook is away the API
server can't list them: a gap, and nothing of the kind is deleted (I2).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.model.run import Outcome, RunRecord
from tests.cluster import roundtrips
from tests.cluster.fakeruns import Runs
from tests.rig.cluster.definitions import wait_established, wait_gone
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Cluster
from tests.rig.servers.converter import Converter

NAMESPACE = "converted"
DEFINITION = "addresses.round-trip.example.org"
FILE = Path(__file__).parent / "round-trip-converted.yaml"
FOLDER = f"{NAMESPACE}/address.round-trip.example.org"
DB, MAIL = f"{FOLDER}/db.yaml", f"{FOLDER}/mail.yaml"
DEFINED = f"_cluster/customresourcedefinition.apiextensions.k8s.io/{DEFINITION}.yaml"
APPLY = ("apply", "--server-side", "-f", "-")


@pytest.fixture
def runs(cluster: Cluster) -> Iterator[Runs]:
    """Over an empty namespace; all is gone afterwards."""
    wipe(cluster)
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    roundtrips.wait_calm(client)
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield Runs(client, NAMESPACE)
    client.close()
    wipe(cluster)


def wipe(cluster: Cluster) -> None:
    """Without a webhook: what it converts can't be deleted while it is away."""
    if cluster.kubectl("get", "crd", DEFINITION, "--ignore-not-found"):
        direct = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
        patch(cluster, direct)
        cluster.kubectl("delete", "crd", DEFINITION, *roundtrips.GONE)
    cluster.kubectl("delete", "namespace", NAMESPACE, *roundtrips.GONE)
    wait_gone(cluster.kubectl, DEFINITION)


def patch(cluster: Cluster, change: object) -> None:
    cluster.kubectl("patch", "crd", DEFINITION, "--type=merge", "-p", json.dumps(change))


def create(cluster: Cluster, converter: Converter) -> None:
    """The definition, then its objects, in the old version."""
    authority = base64.b64encode(converter.certificate).decode()
    text = FILE.read_text().replace("URL", converter.url).replace("CERTIFICATE", authority)
    definition, objects = text.split(roundtrips.BETWEEN, 1)
    cluster.kubectl("create", "-f", "-", input=definition)
    wait_established(cluster.kubectl, DEFINITION)
    cluster.kubectl("create", "-f", "-", input=objects)
    roundtrips.until(lambda: is_listed(cluster))


def lead_to(cluster: Cluster, converter: Converter, path: str = "") -> None:
    """Another webhook for the same definition: what was converted before is forgotten."""
    authority = base64.b64encode(converter.certificate).decode()
    there = {"url": converter.url + path, "caBundle": authority}
    patch(cluster, {"spec": {"conversion": {"webhook": {"clientConfig": there}}}})


def is_listed(cluster: Cluster) -> bool:
    try:
        cluster.kubectl("-n", NAMESPACE, "get", DEFINITION, "-o", "name")
    except RigError:
        return False
    return True


def take_away(cluster: Cluster) -> None:
    cluster.kubectl("delete", "crd", DEFINITION, *roundtrips.GONE)
    cluster.kubectl("delete", "namespace", NAMESPACE, *roundtrips.GONE)
    wait_gone(cluster.kubectl, DEFINITION)


def apply_again(cluster: Cluster, files: dict[str, bytes]) -> None:
    """As a person would, from the tree of a commit."""
    cluster.kubectl(*APPLY, input=files[DEFINED].decode())
    wait_established(cluster.kubectl, DEFINITION)
    for path in (f"_cluster/namespace/{NAMESPACE}.yaml", DB, MAIL):
        cluster.kubectl(*APPLY, input=files[path].decode())
    roundtrips.until(lambda: is_listed(cluster))


def ours(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: text for path, text in files.items() if path in (DEFINED, DB, MAIL)}


def test_what_a_webhook_converts_is_captured_alike_and_is_a_gap_without_it(
    cluster: Cluster, runs: Runs
) -> None:
    with Converter(cluster.host_address) as converter:
        create(cluster, converter)
        first = runs.files(runs.run())
        assert b"apiVersion: round-trip.example.org/v2\n" in first[DB]
        assert b"address: db.example.org:5432\n" in first[DB]
        assert b'address: "::1:25"\n' in first[MAIL]
        take_away(cluster)
        apply_again(cluster, first)
        assert ours(runs.files(runs.run())) == ours(first)
        ways = {(old.rpartition("/")[2], new.rpartition("/")[2]) for old, new in converter.asked}
        assert ways >= {("v1", "v2"), ("v2", "v1")}

    gone = runs.tip
    lead_to(cluster, converter, "-nowhere")
    roundtrips.until(lambda: not is_listed(cluster))
    record = runs.record()
    check_gap(record)
    kept = runs.files(runs.tip)
    assert runs.tip != gone
    assert (kept[DB], kept[MAIL]) == (first[DB], first[MAIL])

    with Converter(cluster.host_address) as again:
        lead_to(cluster, again)
        roundtrips.until(lambda: is_listed(cluster))
        cluster.kubectl("-n", NAMESPACE, "delete", DEFINITION, "mail", *roundtrips.GONE)
        after = runs.files(runs.run())
        assert after[DB] == first[DB]
        assert MAIL not in after


def check_gap(record: RunRecord) -> None:
    assert record.outcome is Outcome.PARTIALLY_FAILED
    (gap,) = record.gaps
    assert gap.folder == "address.round-trip.example.org"
    assert gap.reason, "the API server's own words: of the webhook, or of its cache"
    assert sum(part.objects.deleted for part in record.namespaces) == 0
