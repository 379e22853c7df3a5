"""Which cluster-scoped objects belong to the selected namespaces, in whatever order they come."""

from __future__ import annotations

import random
from typing import Any

from reconciler.capture import references
from reconciler.model.objects import Resource
from tests.unit.capture.objects import live, resource

Seen = tuple[Resource, dict[str, Any]]

RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"


def inside(folder: str, name: str, namespace: str = "shop", **fields: Any) -> Seen:
    return resource(folder), live(name, namespace=namespace, **fields)


def cluster(folder: str, name: str, **fields: Any) -> Seen:
    return resource(folder, namespaced=False), live(name, namespace="", **fields)


def subject(name: str, namespace: str = "shop", kind: str = "ServiceAccount") -> dict[str, Any]:
    return {"kind": kind, "name": name, "namespace": namespace}


def wanted(*seen: Seen) -> dict[str, str]:
    """The answer, the same for any order and when asked twice."""
    answers = []
    for seed in range(3):
        order = list(seen)
        random.Random(seed).shuffle(order)  # noqa: S311 - any order will do
        collector = references.References(["shop"])
        for kind, obj in order:
            collector.observe(kind, obj)
        answers.append(collector.wanted())
        assert collector.wanted() == answers[0]
    assert answers[0] == answers[1] == answers[2]
    return {str(ref): why for ref, why in answers[0].items()}


def test_the_selected_namespaces() -> None:
    found = wanted(cluster("namespace", "shop"), cluster("namespace", "other"))
    assert found == {"namespace/shop": "selected"}


def test_what_a_copy_of_a_volume_needs_comes_with_no_recovery_point() -> None:
    """It comes and goes with runs, and so would its class and its definition in the history."""
    snapshots, name = "snapshot.storage.k8s.io", "backstay-0123456789ab"
    ref = {"namespace": "shop", "name": name}
    spec = {"volumeSnapshotClassName": "csi", "volumeSnapshotRef": ref}
    ours = {"labels": {"backstay.dev/component": "copy"}}
    made = {"annotations": {"pv.kubernetes.io/provisioned-by": "csi.example.org"}}
    claimed = {"claimRef": ref, "storageClassName": "fast"}
    content = {**spec, "source": {"volumeHandle": "v-1"}}
    assert not wanted(
        inside(f"volumesnapshot.{snapshots}", name, metadata=ours, spec=spec),
        inside("persistentvolumeclaim", name, metadata=ours, spec={"storageClassName": "fast"}),
        cluster(f"volumesnapshotclass.{snapshots}", "csi"),
        cluster("storageclass.storage.k8s.io", "fast"),
        cluster(f"volumesnapshotcontent.{snapshots}", "snapcontent-1", spec=content),
        cluster("persistentvolume", "pvc-1", metadata=made, spec=claimed),
        cluster("customresourcedefinition.apiextensions.k8s.io", f"volumesnapshots.{snapshots}"),
    )


def test_definitions_of_the_custom_resources_found() -> None:
    folder = "customresourcedefinition.apiextensions.k8s.io"
    found = wanted(
        inside("widget.example.org", "one"),
        inside("gadget.example.org", "one", namespace="other"),
        cluster(folder, "widgets.example.org"),
        cluster(folder, "gadgets.example.org"),
    )
    assert found == {f"{folder}/widgets.example.org": "defines widget.example.org/shop/one"}


def test_volumes_and_classes_of_claims() -> None:
    spec = {"storageClassName": "fast", "volumeName": "pv-1"}
    bound = {"claimRef": {"namespace": "shop", "name": "data"}, "storageClassName": "slow"}
    other = {"claimRef": {"namespace": "other", "name": "data"}}
    template = {"spec": {"storageClassName": "tape"}}
    found = wanted(
        inside("persistentvolumeclaim", "data", spec=spec),
        inside("statefulset.apps", "db", spec={"volumeClaimTemplates": [template]}),
        cluster("persistentvolume", "pv-1", spec=bound),
        cluster("persistentvolume", "pv-2", spec=other),
        *(cluster("storageclass.storage.k8s.io", name) for name in ("fast", "slow", "tape", "x")),
    )
    assert found == {
        "persistentvolume/pv-1": "bound to claim shop/data and 1 more",
        "storageclass.storage.k8s.io/fast": "used by persistentvolumeclaim shop/data",
        "storageclass.storage.k8s.io/slow": "class of the volume of claim shop/data",
        "storageclass.storage.k8s.io/tape": "used by statefulset.apps shop/db",
    }


def test_a_claim_that_names_another_namespaces_volume_gets_nothing_of_it() -> None:
    theirs = {"claimRef": {"namespace": "other", "name": "data"}, "storageClassName": "slow"}
    found = wanted(
        inside("persistentvolumeclaim", "a", spec={"volumeName": "pv-theirs"}),
        inside("persistentvolumeclaim", "b", spec={"volumeName": "pv-free"}),
        inside("persistentvolumeclaim", "c", spec={"volumeName": "pv-kept"}),
        cluster("persistentvolume", "pv-theirs", spec=theirs),
        cluster("persistentvolume", "pv-free", spec={"claimRef": None}),
        cluster("persistentvolume", "pv-kept", spec={"claimRef": {"name": "c"}}),
        cluster("storageclass.storage.k8s.io", "slow"),
    )
    assert found == {
        "persistentvolume/pv-free": "used by persistentvolumeclaim shop/b",
        "persistentvolume/pv-kept": "used by persistentvolumeclaim shop/c",
    }


def test_roles_and_bindings() -> None:
    role = f"clusterrole.{RBAC}"
    binding = f"clusterrolebinding.{RBAC}"

    def bind(name: str, role: str, *subjects: dict[str, Any]) -> Seen:
        return cluster(binding, name, roleRef={"name": role}, subjects=list(subjects))

    aggregation = {"clusterRoleSelectors": [{"matchLabels": {"to": "sum"}}]}
    found = wanted(
        inside(f"rolebinding.{RBAC}", "view", roleRef={"kind": "ClusterRole", "name": "view"}),
        inside(f"rolebinding.{RBAC}", "own", roleRef={"kind": "Role", "name": "own"}),
        bind("ours", "sum", subject("web"), subject("jane", kind="User")),
        bind("all", "wide", subject("system:serviceaccounts:shop", "", "Group")),
        bind("user", "narrow", subject("system:serviceaccount:shop:web", "", "User")),
        bind(
            "theirs", "x", subject("web", "other"), subject("system:serviceaccounts", "", "Group")
        ),
        cluster(role, "sum", aggregationRule=aggregation),
        cluster(role, "part", metadata={"labels": {"to": "sum", "a": "b"}}),
        cluster(role, "no-part", metadata={"labels": {"to": "else"}}),
        *(cluster(role, name) for name in ("view", "own", "wide", "narrow", "x")),
    )
    assert found == {
        f"{role}/narrow": "bound to serviceaccount shop/web by user",
        f"{role}/part": "gathered into clusterrole sum",
        f"{role}/sum": "bound to serviceaccount shop/web by ours",
        f"{role}/view": f"used by rolebinding.{RBAC} shop/view",
        f"{role}/wide": "bound to all service accounts of shop by all",
        f"{binding}/all": "binds all service accounts of shop",
        f"{binding}/ours": "binds serviceaccount shop/web",
        f"{binding}/user": "binds serviceaccount shop/web",
    }


def test_classes_of_pods_and_templates() -> None:
    priority, runtime = "priorityclass.scheduling.k8s.io", "runtimeclass.node.k8s.io"
    template = {"template": {"spec": {"priorityClassName": "high"}}}
    job = {"jobTemplate": {"spec": {"template": {"spec": {"priorityClassName": "low"}}}}}
    found = wanted(
        inside("pod", "web", spec={"runtimeClassName": "gvisor"}),
        inside("rollout.argoproj.io", "web", spec=template),
        inside("cronjob.batch", "night", spec=job),
        *(cluster(priority, name) for name in ("high", "low", "other")),
        cluster(runtime, "gvisor"),
    )
    assert found == {
        f"{priority}/high": "used by rollout.argoproj.io shop/web",
        f"{priority}/low": "used by cronjob.batch shop/night",
        f"{runtime}/gvisor": "used by pod shop/web",
    }


def test_ingress_classes_also_the_default_one() -> None:
    folder = "ingressclass.networking.k8s.io"
    default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    classes = [cluster(folder, "nginx"), cluster(folder, "main", metadata=default)]
    found = wanted(
        inside("ingress.networking.k8s.io", "a", spec={"ingressClassName": "nginx"}), *classes
    )
    assert list(found) == [f"{folder}/nginx"]
    assert wanted(inside("ingress.networking.k8s.io", "a"), *classes) == {
        f"{folder}/main": "default for ingress shop/a"
    }


def test_webhooks_and_api_services_that_point_into_the_namespace() -> None:
    hook = f"validatingwebhookconfiguration.{ADMISSION}"
    api = "apiservice.apiregistration.k8s.io"

    def calls(namespace: str) -> dict[str, Any]:
        return {"clientConfig": {"service": {"namespace": namespace, "name": "hook"}}}

    found = wanted(
        cluster(hook, "ours", webhooks=[{"clientConfig": {"url": "https://x"}}, calls("shop")]),
        cluster(hook, "theirs", webhooks=[calls("other")]),
        cluster(api, "v1.shop", spec={"service": {"namespace": "shop", "name": "api"}}),
        cluster(api, "v1.core", spec={"service": None}),
    )
    assert found == {
        f"{hook}/ours": "calls service shop/hook",
        f"{api}/v1.shop": "served by service shop/api",
    }


def test_what_was_never_seen_is_not_wanted() -> None:
    assert wanted(inside("persistentvolumeclaim", "x", spec={"storageClassName": "gone"})) == {}


def test_a_custom_resource_of_any_shape_breaks_nothing() -> None:
    odd: list[Any] = [None, "text", 3, [], [1], {"template": "x"}, {"template": {"spec": 1}}]
    odd += [{"jobTemplate": {"spec": "x"}}, {"template": {"spec": {"priorityClassName": {"a": 1}}}}]
    assert wanted(*(inside("widget.example.org", f"w{i}", spec=s) for i, s in enumerate(odd))) == {}


def test_thousands_of_users_are_one_reason() -> None:
    claims = [
        inside("persistentvolumeclaim", f"c{i:04}", spec={"storageClassName": "fast"})
        for i in range(3000)
    ]
    found = wanted(*claims, cluster("storageclass.storage.k8s.io", "fast"))
    assert list(found.values()) == ["used by persistentvolumeclaim shop/c0000 and 2999 more"]


def test_candidates() -> None:
    assert references.is_candidate(resource("namespace", namespaced=False))
    assert not references.is_candidate(resource("node", namespaced=False))
    assert not references.is_candidate(resource("namespace", namespaced=True))
