"""A copy beside the original, on a real cluster: both serve, and the original is untouched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rig.cluster.errors import RigError
from tests.rig.stage import Stage, shop
from tests.rig.stage.runs import Run, run_again

COPY = "shop2"
KINDS = (
    "configmaps,secrets,services,pvc,roles,rolebindings,serviceaccounts,ingresses,networkpolicies,"
    "poddisruptionbudgets,cronjobs,products"
)
# What only a cluster can refuse or do: rights that go through the cluster, a claimed webhook, the
# label by which Argo CD and Helm find their own.
EXTRA = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: shop-nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: shop-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: shop-nodes}
subjects: [{kind: ServiceAccount, name: web, namespace: shop}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: tracked
  namespace: shop
  labels: {app.kubernetes.io/managed-by: Helm, team: blue}
  annotations: {argocd.argoproj.io/tracking-id: "shop:/ConfigMap:shop/tracked"}
data: {url: "postgres://db.shop.svc:5432/shop"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: shop-checks}
webhooks:
  - name: checks.shop.example.org
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Ignore
    timeoutSeconds: 1
    clientConfig: {service: {namespace: shop, name: web, path: /check}}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
    rules:
      - {apiGroups: [example.org], apiVersions: [v1], operations: [CREATE], resources: [nothings]}
"""


@pytest.fixture
def source(stage: Stage, first: Run) -> Iterator[Run]:
    """Return a run of `shop` with all this; afterwards nothing of it is left."""
    stage.kubectl("apply", "-f", "-", stdin=EXTRA)
    try:
        yield run_again(stage)
    finally:
        stage.kubectl("delete", "namespace", COPY, "--ignore-not-found", "--timeout=300s")
        stage.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=EXTRA)
        stage.kubectl(
            "delete", "--ignore-not-found", "clusterrolebinding/shop-nodes-shop2",
            "validatingwebhookconfiguration/shop-checks-shop2",
        )  # fmt: skip


def test_a_copy_and_its_original_both_serve(stage: Stage, source: Run, marker: str) -> None:
    """One test and not ten: each would cost a restore, and the end of a namespace."""
    files, before = shop.listing(stage), shop.versions(stage, KINDS)
    done = _restore(stage)
    shop.wait_ready(stage, namespace=COPY)
    _check_plan(done["plan"])
    _check_rights(stage)
    _check_objects(stage, marker)

    (service,) = stage.objects("-n", COPY, "service", "web")
    port = service["spec"]["ports"][0]["nodePort"]
    assert port != shop.NODE_PORT
    assert shop.listing(stage, namespace=COPY) == files
    shop.execute(stage, "deploy/web", "echo '<h1>copy</h1>' > /files/index.html", namespace=COPY)
    assert "copy" in shop.page(stage, port=port)
    assert "copy" not in shop.page(stage)
    assert shop.listing(stage) == files

    copies = shop.versions(stage, KINDS, namespace=COPY)
    again = _restore(stage)
    assert again["result"] is None
    assert {entry["action"] for entry in again["plan"]["objects"]} == {"keep", "skip"}
    assert not [entry for entry in again["plan"]["objects"] if entry["differs"]]
    assert shop.versions(stage, KINDS, namespace=COPY) == copies
    assert shop.versions(stage, KINDS) == before


def _check_plan(plan: dict[str, Any]) -> None:
    assert plan["mapping"] == {"shop": COPY}
    assert {volume["source"] for volume in plan["volumes"]} == {"shop"}
    objects = {entry["object"]: entry for entry in plan["objects"]}
    taken = f"node port {shop.NODE_PORT} is taken by shop/web; it gets another one"
    assert objects["shop2/service/web"]["changes"] == [taken]
    ingress = objects["shop2/ingress.networking.k8s.io/web"]
    assert ingress["action"] == "skip"
    assert ingress["why"] == "host shop.example.org is taken by shop/web; not restored"
    tracked = objects["shop2/configmap/tracked"]
    assert tracked["warnings"] == ["data.url: still db.shop.svc"]
    assert len(tracked["changes"]) == 2


def _check_rights(stage: Stage) -> None:
    assert _may(stage, COPY, COPY, "get", "configmaps")
    assert not _may(stage, COPY, "shop", "get", "configmaps")
    assert not _may(stage, "shop", COPY, "get", "configmaps")
    assert _may(stage, COPY, COPY, "list", "nodes")
    assert _may(stage, "shop", "shop", "list", "nodes")


def _check_objects(stage: Stage, marker: str) -> None:
    (tracked,) = stage.objects("-n", COPY, "configmap", "tracked")
    assert tracked["metadata"]["labels"] == {"team": "blue"}
    assert "annotations" not in tracked["metadata"]
    template = "go-template={{.data.password|base64decode}}"
    assert stage.kubectl("-n", COPY, "get", "secret", "db", "-o", template) == marker
    (hooks,) = stage.objects("validatingwebhookconfiguration", "shop-checks-shop2")
    (hook,) = hooks["webhooks"]
    assert hook["clientConfig"]["service"]["namespace"] == COPY
    assert hook["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": COPY}}


def _restore(stage: Stage) -> dict[str, Any]:
    mapping = ("--map-namespace", f"shop={COPY}")
    done = stage.backstay("restore", "shop", *mapping, "--yes", "-o", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _may(stage: Stage, account: str, namespace: str, *what: str) -> bool:
    who = f"--as=system:serviceaccount:{account}:web"
    try:
        return stage.kubectl("auth", "can-i", *what, "-n", namespace, who).strip() == "yes"
    except RigError:
        return False
