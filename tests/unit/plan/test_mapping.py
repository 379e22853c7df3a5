"""Copies for another namespace: which objects, where to, and what they refer to."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.errors import UsageError
from reconciler.plan.mapping import copied_places, map_secret
from reconciler.plan.mappingnames import captured_namespaces, check_mapping, parse_mapping
from tests.unit.plan.mapping_world import HOOKS, NAMES, RBAC, captured, copy_of, mapped

ACCOUNT = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}


def test_an_object_moves_and_its_namespace_with_it() -> None:
    namespace = captured("Namespace", "shop", "", metadata={"labels": {"team": "blue"}})
    settings = captured("ConfigMap", "settings", data={"colour": "green"})
    other = captured("ConfigMap", "settings", "other")
    made = {found.path: found for found in mapped(namespace, settings, other)}
    assert sorted(made) == [
        "_cluster/namespace/shop2.yaml",
        "other/configmap/settings.yaml",
        "shop2/configmap/settings.yaml",
    ]
    copied = made["shop2/configmap/settings.yaml"]
    assert copied.manifest["metadata"] == {"name": "settings", "namespace": "shop2"}
    assert copied.manifest["data"] == {"colour": "green"}
    assert (copied.source, str(copied.ref)) == (settings.path, "shop2/configmap/settings")
    assert made["_cluster/namespace/shop2.yaml"].manifest["metadata"] == {
        "name": "shop2",
        "labels": {"team": "blue"},
    }
    assert made["other/configmap/settings.yaml"] is other


def test_nothing_mapped_is_everything_as_it_was() -> None:
    found = captured("ConfigMap", "settings")
    assert mapped(found, names={}) == (found,)
    assert mapped(found, names={"elsewhere": "x"}) == (found,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["shop"], "not FROM=TO"),
        (["shop="], "not FROM=TO"),
        (["shop=a=b"], "not FROM=TO"),
        (["shop=Shop2"], "not FROM=TO"),
        (["shop=../etc"], "not FROM=TO"),
        (["shop=" + "x" * 64], "not FROM=TO"),
        (["shop=shop"], "no other namespace"),
        (["shop=a", "shop=b"], "two targets"),
        (["shop=a", "web=a"], "the target of two"),
    ],
)
def test_what_can_not_be_meant_is_refused(given: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_mapping(given)
    assert caught.value.hint


def test_what_is_meant_is_read() -> None:
    assert parse_mapping(["shop=shop2", "db=db2", "shop=shop2"]) == {"shop": "shop2", "db": "db2"}
    assert parse_mapping([]) == {}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"shopp": "shop2"}, "no namespace shopp"),
        ({"shop": "db"}, "in the recovery point itself"),
        ({"shop": "db", "db": "shop"}, "in the recovery point itself"),
        ({"shop": "kube-system"}, "nothing is copied into kube-system"),
        ({"shop": "backstay-system"}, "nothing is copied into backstay-system"),
    ],
)
def test_what_does_not_fit_the_recovery_point_is_refused(names: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_mapping(names, {"shop", "db"}, guarded="backstay-system")
    assert caught.value.hint


def test_the_namespaces_that_there_are_are_named() -> None:
    with pytest.raises(UsageError) as caught:
        check_mapping({"x": "y"}, {"shop", "db"}, guarded="backstay-system")
    assert caught.value.hint == "this recovery point has: db, shop"


def test_a_namespace_counts_by_its_object_or_by_what_is_in_it() -> None:
    found = [captured("Namespace", "shop", ""), captured("ConfigMap", "a", "db")]
    assert captured_namespaces(found) == {"shop", "db"}
    assert copied_places(found, {"db": "db2"}) == {("db2", "a")}


def test_subjects_of_bindings_follow() -> None:
    subjects = [
        ACCOUNT,
        {"kind": "User", "name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"},
        {"kind": "Group", "name": "system:serviceaccounts:shop-two"},
        {"kind": "User", "name": "shop"},
    ]
    made = copy_of(captured(f"{RBAC}/RoleBinding", "web", subjects=subjects))
    assert [
        subject.get("namespace") or subject["name"] for subject in made.manifest["subjects"]
    ] == [
        "shop2",
        "system:serviceaccount:shop2:web",
        "system:serviceaccounts:shop2",
        "monitoring",
        "system:serviceaccounts:shop-two",
        "shop",
    ]
    assert made.changes == (
        "subjects[0].namespace: shop → shop2",
        "subjects[1].name: system:serviceaccount:shop:web → system:serviceaccount:shop2:web",
        "subjects[2].name: system:serviceaccounts:shop → system:serviceaccounts:shop2",
    )


def test_a_cluster_binding_is_copied_for_the_copies_accounts_only() -> None:
    prometheus = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}
    role = {"kind": "ClusterRole", "name": "nodes", "apiGroup": RBAC}
    binding = captured(
        f"{RBAC}/ClusterRoleBinding", "shop:nodes", "", roleRef=role, subjects=[ACCOUNT, prometheus]
    )
    (made,) = mapped(binding, captured("ConfigMap", "a"))[:1]
    assert (made.ref.name, made.source) == ("shop:nodes-shop2", binding.path)
    assert made.manifest["metadata"]["name"] == "shop:nodes-shop2"
    assert made.manifest["subjects"] == [{**ACCOUNT, "namespace": "shop2"}]
    assert made.manifest["roleRef"] == role
    assert "copy of clusterrolebinding" in made.changes[0]
    assert "rights in the whole cluster" in made.warnings[0]
    assert binding.path not in {found.path for found in mapped(binding)}


def test_a_cluster_binding_stays_for_the_namespaces_that_are_not_mapped() -> None:
    subjects = [ACCOUNT, {**ACCOUNT, "namespace": "db"}]
    binding = captured(f"{RBAC}/ClusterRoleBinding", "nodes", "", subjects=subjects)
    made = mapped(binding, captured("ConfigMap", "a", "db"))
    assert [found.ref.name for found in made if found.folder.startswith("cluster")] == [
        "nodes-shop2",
        "nodes",
    ]
    assert binding in made
    foreign = captured(f"{RBAC}/ClusterRoleBinding", "all", "", subjects=[])
    assert mapped(foreign) == (foreign,)


def test_a_derived_name_never_takes_the_place_of_a_captured_object() -> None:
    binding = captured(f"{RBAC}/ClusterRoleBinding", "nodes", "", subjects=[ACCOUNT])
    there = captured(f"{RBAC}/ClusterRoleBinding", "nodes-shop2", "", subjects=[])
    assert copy_of(binding, there).ref.name == "nodes-shop2-copy"
    long = captured(f"{RBAC}/ClusterRoleBinding", "n" * 253, "", subjects=[ACCOUNT])
    assert len(copy_of(long).ref.name) <= 253
    assert copy_of(long).ref.name != long.ref.name


def hook(**selector: Any) -> dict[str, Any]:
    return {
        "name": "check.shop.example.org",
        "clientConfig": {"service": {"namespace": "shop", "name": "web", "path": "/check"}},
        "namespaceSelector": selector,
        "rules": [{"resources": ["pods"], "scope": "*"}],
    }


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
        {
            "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}
            ]
        },
    ],
)
def test_a_webhook_of_the_namespace_alone_is_copied(selector: dict[str, Any]) -> None:
    found = captured(
        f"{HOOKS}/ValidatingWebhookConfiguration", "c", "", webhooks=[hook(**selector)]
    )
    (made,) = mapped(found)
    assert (made.ref.name, made.obstacle) == ("c-shop2", "")
    (copied,) = made.manifest["webhooks"]
    assert copied["clientConfig"]["service"]["namespace"] == "shop2"
    assert "shop2" in str(copied["namespaceSelector"])
    assert not made.warnings


@pytest.mark.parametrize(
    "changed",
    [
        {"namespaceSelector": {}},
        {"namespaceSelector": {"matchLabels": {"team": "blue"}}},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}
                ]
            }
        },
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "rules": [{"resources": ["*"], "scope": "*"}],
        },
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "rules": [{"resources": ["pods", "nodes/status"]}],
        },
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "rules": [{"resources": ["anything"], "scope": "Cluster"}],
        },
    ],
)
def test_a_webhook_of_the_whole_cluster_is_not_copied(changed: dict[str, Any]) -> None:
    hooks = [{**hook(), **changed}]
    found = captured(f"{HOOKS}/MutatingWebhookConfiguration", "c", "", webhooks=hooks)
    (made,) = mapped(found)
    assert made.path == found.path
    assert "everybody's requests" in made.obstacle


def test_a_webhook_for_a_captured_kind_of_the_whole_cluster_is_not_copied() -> None:
    one = hook(matchLabels={"kubernetes.io/metadata.name": "shop"})
    one["rules"] = [{"apiGroups": ["x.org"], "resources": ["issuers"]}]
    found = captured(f"{HOOKS}/ValidatingWebhookConfiguration", "c", "", webhooks=[one])
    spec = {"group": "x.org", "scope": "Cluster", "names": {"kind": "I", "plural": "issuers"}}
    crd = captured("apiextensions.k8s.io/CustomResourceDefinition", "issuers.x.org", "", spec=spec)
    made = {found.ref.kind: found for found in mapped(found, crd)}
    assert "everybody's requests" in made["ValidatingWebhookConfiguration"].obstacle
    assert copy_of(found).obstacle == ""


def test_a_webhook_with_a_certificate_says_what_that_must_be_of() -> None:
    one = hook(matchLabels={"kubernetes.io/metadata.name": "shop"})
    one["clientConfig"]["caBundle"] = "Q0E="
    found = captured(f"{HOOKS}/ValidatingWebhookConfiguration", "c", "", webhooks=[one])
    assert "certificate" in copy_of(found).warnings[0]


def test_a_configuration_with_other_peoples_webhooks_stays_for_them() -> None:
    ours = hook(matchLabels={"kubernetes.io/metadata.name": "shop"})
    theirs = {"name": "x", "clientConfig": {"url": "https://x.example.org"}}
    found = captured(f"{HOOKS}/ValidatingWebhookConfiguration", "c", "", webhooks=[ours, theirs])
    made = {one.ref.name: one for one in mapped(found)}
    assert sorted(made) == ["c", "c-shop2"]
    assert [one["name"] for one in made["c-shop2"].manifest["webhooks"]] == [ours["name"]]
    alone = captured(f"{HOOKS}/ValidatingWebhookConfiguration", "c", "", webhooks=[theirs])
    assert mapped(alone) == (alone,)


def test_what_there_is_one_of_points_to_the_copy_under_its_own_name() -> None:
    service = {"namespace": "shop", "name": "web"}
    api = captured("apiregistration.k8s.io/APIService", "v1.x.org", "", spec={"service": service})
    schema = {"properties": {"ref": {"default": {"namespace": "shop", "name": "x"}}}}
    crd = captured(
        "apiextensions.k8s.io/CustomResourceDefinition", "c.x.org", "",
        spec={
            "versions": [{"name": "v1", "schema": schema}],
            "conversion": {"webhook": {"clientConfig": {"service": service}}},
        },
    )  # fmt: skip
    made = {found.ref.name: found for found in mapped(api, crd)}
    assert sorted(made) == ["c.x.org", "v1.x.org"]
    assert made["v1.x.org"].manifest["spec"]["service"]["namespace"] == "shop2"
    spec = made["c.x.org"].manifest["spec"]
    assert spec["conversion"]["webhook"]["clientConfig"]["service"]["namespace"] == "shop2"
    assert spec["versions"][0]["schema"] == schema
    plain = captured("apiextensions.k8s.io/CustomResourceDefinition", "d.x.org", "", spec={})
    assert mapped(plain) == (plain,)


def test_a_claim_that_was_pinned_says_that_it_gets_a_new_volume() -> None:
    made = copy_of(captured("PersistentVolumeClaim", "files", spec={"volumeName": "disk-7"}))
    assert made.manifest["spec"] == {}
    assert made.changes == ("was pinned to volume disk-7; it gets a new one",)


def test_several_namespaces_follow_each_other() -> None:
    subjects = [{**ACCOUNT, "namespace": "db"}]
    names = {"shop": "shop2", "db": "db2"}
    other = captured("ConfigMap", "a", "db")
    made = copy_of(captured(f"{RBAC}/RoleBinding", "r", subjects=subjects), other, names=names)
    assert made.manifest["subjects"][0]["namespace"] == "db2"
    both = captured(f"{RBAC}/ClusterRoleBinding", "n", "", subjects=[ACCOUNT, *subjects])
    assert copy_of(both, other, names=names).ref.name == "n-db2-shop2"


def test_a_whole_secret_is_mapped_as_its_manifest_is() -> None:
    metadata = {"labels": {"app.kubernetes.io/managed-by": "Helm", "a": "b"}}
    found = captured("Secret", "db", metadata=metadata, data={"password": "hmac-sha256:00"})
    whole = {**found.manifest, "data": {"password": "cGFzcw=="}}
    made = map_secret(whole, NAMES)
    assert made == {**copy_of(found).manifest, "data": {"password": "cGFzcw=="}}
    assert made["metadata"]["labels"] == {"a": "b"}


def test_what_is_nested_beyond_reason_is_left_out_alone() -> None:
    spec: dict[str, Any] = {"namespace": "shop", "name": "x"}
    for _ in range(700):
        spec = {"a": spec}
    deep, plain = captured("x.org/Thing", "deep", spec=spec), captured("ConfigMap", "a")
    made = {found.ref.name: found for found in mapped(deep, plain)}
    assert made["deep"].obstacle == "nested too deeply to be copied"
    assert (made["deep"].path, made["deep"].source) == ("shop2/thing.x.org/deep.yaml", deep.path)
    assert not made["a"].obstacle


TEXT = st.text("abcxyz.:/-", max_size=8)
FREE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "namespace", "namespaces", "spec", "matchLabels", "values", "key", "webhooks",
             "subjects", "kubernetes.io/metadata.name", "kind", "resourceNames", "principals",
             "hosts", "servers", "routes", "match", "host", "virtualhost", "fqdn"]
        ),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


KINDS = [
    "ConfigMap",
    "Service",
    "x.org/Thing",
    "apps/Deployment",
    "networking.istio.io/VirtualService",
    "networking.istio.io/Gateway",
    "traefik.io/IngressRoute",
    "route.openshift.io/Route",
    "projectcontour.io/HTTPProxy",
]


@given(spec=FREE, kind=st.sampled_from(KINDS))
def test_an_object_without_a_reference_changes_its_namespace_only(spec: Any, kind: str) -> None:
    found = captured(kind, "a", spec=spec if isinstance(spec, dict) else {"x": spec})
    before = copy.deepcopy(found.manifest)
    made = copy_of(found)
    assert made.manifest == {**before, "metadata": {"name": "a", "namespace": "shop2"}}
    assert found.manifest == before
    assert (made.changes, made.obstacle, made.warnings) == ((), "", ())


MENTIONS = FREE.map(lambda value: _with_source(value))


def _with_source(value: Any) -> Any:
    """The same, with the namespace's name in place of half of the texts."""
    if isinstance(value, dict):
        return {key: _with_source(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_source(inner) for inner in value]
    return "shop" if isinstance(value, str) and len(value) % 2 else value


@given(spec=MENTIONS)
def test_mapping_what_was_mapped_changes_nothing(spec: Any) -> None:
    found = captured("x.org/Thing", "a", spec=spec if isinstance(spec, dict) else {"x": spec})
    once = copy_of(found)
    back = captured("x.org/Thing", "a", spec=once.manifest["spec"])
    again = copy_of(back)
    assert again.manifest == once.manifest
    assert again.changes == ()
