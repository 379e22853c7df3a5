"""Manifests become an inventory; what they do not tell is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.capture.manifestfiles import ManifestFiles
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.inventory import (
    ClaimTemplate,
    Inventory,
    NamespaceInventory,
    StorageClass,
)
from reconciler.model.protection import State
from reconciler.plan.manifests import Planned, plan_inventory
from reconciler.plan.protection import protect
from tests.unit.plan.protection_world import NOW, lines, policy

SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {backup: gold, team: }, annotations: {a: b}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: uploads, namespace: shop}
spec:
  accessModes: [ReadWriteOncePod]
  volumeMode: Block
  storageClassName: fast
  resources: {requests: {storage: 1Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      volumes:
        - {name: u, persistentVolumeClaim: {claimName: uploads}}
        - {name: c, configMap: {name: c}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop}
spec:
  jobTemplate:
    spec:
      template: {spec: {volumes: [{name: r, persistentVolumeClaim: {claimName: reports}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 3
  template: {spec: {volumes: [{name: b, persistentVolumeClaim: {claimName: data-db-0}}]}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: fast
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: csi.example.org
"""


def planned(text: str, **options: Any) -> Planned:
    """The inventory of a text."""
    files = ManifestFiles()
    files.read("a.yaml", text.encode())
    assert files.problems == []
    bodies = [one.body for one in files.objects]
    return plan_inventory(bodies, cluster="prod-eu", labels={}, **options)


def test_all_that_manifests_say() -> None:
    found = planned(SHOP)
    assert found.inventory.storage_classes == (
        StorageClass(name="fast", provisioner="csi.example.org", default=True),
    )
    (shop,) = found.inventory.namespaces
    assert shop.namespace == Namespace(
        name="shop", labels={"backup": "gold"}, annotations={"a": "b"}
    )
    assert shop.claims == (
        Claim(namespace="shop", name="data-db-0"),
        Claim(namespace="shop", name="reports"),
        Claim(
            namespace="shop",
            name="uploads",
            storage_class="fast",
            volume_mode="Block",
            access_modes=("ReadWriteOncePod",),
            size=1 << 30,
        ),
    )
    assert shop.workloads == {
        "data-db-0": "StatefulSet/db",
        "reports": "CronJob/report",
        "uploads": "Deployment/web",
    }
    assert shop.users["uploads"] == ClaimUser(pod="of Deployment/web", node="")
    assert shop.templates == (
        ClaimTemplate(
            workload="db",
            name="data",
            size=10 << 30,
            replicas=3,
            volume_mode="Filesystem",
            access_modes=("ReadWriteOnce",),
        ),
    )
    assert found.notes == (
        "claims that are mounted and not among the manifests: shop/reports (CronJob/report)",
    )


def test_a_claim_for_one_pod_can_not_be_copied_beside_its_deployment() -> None:
    text = SHOP.replace("  volumeMode: Block\n", "")
    found = lines(protect([policy("shop", "shop")], [], planned(text).inventory, now=NOW))
    line = found["claim shop/uploads"]
    assert line.state is State.UNPROTECTED
    assert "pod of Deployment/web holds it" in line.reasons[0].why


EPHEMERAL = (
    "{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}}"
)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_claims_of_ephemeral_volumes_are_told_and_not_counted(kind: str) -> None:
    found = planned(
        f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web, namespace: shop}}
spec: {{template: {{spec: {{volumes: [{EPHEMERAL}, {{name: e, ephemeral: }}]}}}}}}
"""
    )
    (shop,) = found.inventory.namespaces
    assert (shop.claims, shop.templates) == ((), ())
    assert found.notes[-1] == (
        "claims of ephemeral volumes end with their pods, and are not counted:"
        f" shop/scratch ({kind}/web)"
    )


def test_a_namespace_counts_with_whatever_lies_in_it() -> None:
    found = planned(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: one}\n---\n"
        "apiVersion: pg.example.org/v1\nkind: Cluster\nmetadata: {name: b, namespace: two}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: c, namespace: three}\n---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: d}\n"
    )
    assert [one.namespace.name for one in found.inventory.namespaces] == ["one", "three", "two"]
    assert found.notes == (
        "labels are not known where there is no Namespace among the manifests: one, three, two",
        "not looked into, and their controllers may make claims: Cluster.pg.example.org (1)",
    )


def test_what_names_no_namespace_goes_where_it_is_told() -> None:
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\n"
    found = planned(claim, default_namespace="shop")
    assert [one.namespace.name for one in found.inventory.namespaces] == ["shop"]
    assert found.notes[0] == (
        "1 object without a namespace: taken as in the one that --default-namespace names"
    )


def test_what_the_cluster_is_known_to_have_helps() -> None:
    known = Inventory(
        cluster="prod-eu",
        uid="u",
        namespaces=(NamespaceInventory(namespace=Namespace(name="shop", labels={"a": "b"})),),
        storage_classes=(StorageClass(name="slow", provisioner="x", default=True),),
    )
    text = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a, namespace: shop}\n"
    found = planned(text, known=known)
    assert found.inventory.namespaces[0].namespace.labels == {"a": "b"}
    assert found.inventory.storage_classes == known.storage_classes
    assert found.inventory.taken is None
    assert found.notes == ()
    assert planned(SHOP, known=known).inventory.namespaces[0].namespace.labels == {"backup": "gold"}
    assert [one.name for one in planned(SHOP, known=known).inventory.storage_classes] == ["fast"]


@pytest.mark.parametrize(
    "name", ['"${APP}"', "Shop", "a_b", "-a", '"a\\u202eb"', "a" * 254, '"a/b"', '"x\\ny"']
)
def test_names_that_are_none_yet_are_left_out_and_told(name: str) -> None:
    text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    found = planned(text)
    assert found.inventory.namespaces == ()
    (note,) = found.notes
    assert note.startswith("1 object left out, because names are no names before they are rendered")
    assert note.isprintable()
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: " + name + "}\n"
    assert planned(text).inventory.namespaces == ()


@pytest.mark.parametrize("kind", ["v1\nkind: PersistentVolumeClaim", "apps/v1\nkind: StatefulSet"])
def test_the_namespace_of_a_name_that_is_none_yet_counts(kind: str) -> None:
    text = f'apiVersion: {kind}\nmetadata: {{name: "${{APP}}-data"%s}}\n'
    for where, namespace in ((", namespace: crm", "crm"), ("", "default")):
        found = planned(text % where)
        (space,) = found.inventory.namespaces
        assert (space.namespace.name, space.claims) == (namespace, ())
        assert any(note.startswith("1 object left out") for note in found.notes)
    assert planned(text % ', namespace: "${NS}"').inventory.namespaces == ()


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [("0", 0), ("7", 7), ("-1", 1), ("many", 1), ("9999999", 1_000_000), ("99999999", 1), ("", 1)],
)
def test_replicas(replicas: str, expected: int) -> None:
    found = planned(SHOP.replace("replicas: 3", f"replicas: {replicas}"))
    assert found.inventory.namespaces[0].templates[0].replicas == expected


KEYS = [
    *("apiVersion", "kind", "metadata", "name", "namespace", "spec", "labels", "annotations"),
    *("template", "volumes", "persistentVolumeClaim", "claimName", "volumeClaimTemplates"),
    *("accessModes", "resources", "requests", "storage", "storageClassName", "replicas"),
]
WORDS = [
    *("v1", "apps/v1", "batch/v1", "storage.k8s.io/v1", "x.example.org/v1", "Namespace"),
    *("PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "StorageClass"),
    *("shop", "data", "1Gi", "\x1b[2J"),
]
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.sampled_from(WORDS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "apiVersion": st.sampled_from(WORDS[:5]),
                "kind": st.sampled_from(WORDS[5:11]),
                "metadata": st.fixed_dictionaries({"name": st.just("a")}, optional={"x": values}),
                "spec": values,
            }
        ),
        max_size=3,
    )
)
def test_no_shape_is_too_strange(objects: list[dict[str, Any]]) -> None:
    found = plan_inventory(objects, cluster="c", labels={})
    judged = protect([policy("all", "*")], [], found.inventory, now=NOW)
    assert all(line.title.isprintable() for line in judged.lines)
    assert all(note.isprintable() for note in found.notes)
