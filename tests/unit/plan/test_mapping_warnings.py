"""What a copy goes on naming is told with its object and field, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.mappingwarnings import EXTERNAL, IDENTITIES
from tests.unit.plan.mapping_world import captured, copy_of, mapped

DB = captured("Service", "db")


def env(name: str, value: str) -> dict[str, Any]:
    container = {"name": "web", "env": [{"name": name, "value": value}]}
    return {"template": {"spec": {"containers": [container]}}}


def warnings_of(kind: str, *others: Any, **fields: Any) -> tuple[str, ...]:
    return copy_of(captured(kind, "a", **fields), *others).warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("db.shop.svc", "db.shop.svc"),
        ("postgres://user:pw@db.shop.svc.cluster.local:5432/x", "db.shop.svc.cluster.local"),
        ("http://db-0.db.shop.svc/", "db-0.db.shop.svc"),
        ("db.shop:5432", "db.shop"),
        ("db-0.db.shop", "db-0.db.shop"),
        ("is system:serviceaccount:shop:web allowed", "system:serviceaccount:shop:web"),
        ('sum(up{namespace="shop"})', 'namespace="shop"'),
        ('{namespace=~"shop", pod="x"}', 'namespace=~"shop"'),
        ("--watch-namespace=shop", "namespace=shop"),
        ("kubectl get pods --namespace shop", "namespace shop"),
        ("kubectl -n shop get pods", "-n shop"),
        ("POD_NAMESPACE=shop", "NAMESPACE=shop"),
        ("namespace: shop", "namespace: shop"),
        ('{"namespace":"shop"}', 'namespace":"shop"'),
        ("object.metadata.namespace == 'shop'", "namespace == 'shop'"),
        ('request.namespace != "shop" || x', 'namespace != "shop"'),
        ("shop/web", "shop/web"),
        ("other/net, shop/net", "shop/net"),
    ],
)
def test_a_text_that_names_the_original_is_told(text: str, said: str) -> None:
    where = "spec.template.spec.containers[0].env[0].value"
    made = copy_of(captured("apps/Deployment", "a", spec=env("URL", text)), DB)
    assert made.warnings == (f"{where}: still {said}",)
    assert made.manifest["spec"] == env("URL", text)
    told = warnings_of("ConfigMap", DB, data={"config": f"first line\n{text}\n"})
    assert len(told) == (0 if text == "shop/web" else 1)


@pytest.mark.parametrize(
    "text",
    [
        "shop", "my-shop.svc", "db.shop-two.svc", "db.shop.svcs", "web.shop:80", "shop.svc.example",
        "xdb.shop:1", "registry.shop/web:1", "a.db.shop.example.org", "https://db.shop.example.org",
        "system:serviceaccount:shop-two:web", 'namespace="shop-two"', "--name=shop", "workshop",
        "namespace: shop-two", "namespaces: workshop", "-n shop-two", "main -nshopping",
        "shop-two/web", "shop/index.html", "/shop/web", "workshop/web",
    ],
)  # fmt: skip
def test_what_is_no_name_of_the_original_is_not_told(text: str) -> None:
    assert warnings_of("apps/Deployment", DB, spec=env("URL", text)) == ()


def test_a_field_or_variable_for_a_namespace_is_told_by_its_name() -> None:
    assert warnings_of("apps/Deployment", spec=env("WATCH_NAMESPACE", "shop"))
    assert not warnings_of("apps/Deployment", spec=env("SHOP", "shop"))
    assert warnings_of("x.org/Thing", spec={"targetNamespace": "shop"}) == (
        "spec.targetNamespace: still shop",
    )
    assert warnings_of("x.org/Thing", spec={"watchNamespaces": ["a", "shop"]}) == (
        "spec.watchNamespaces[1]: still shop",
    )


@pytest.mark.parametrize("flag", ["--namespace", "--watch-namespaces", "-n"])
def test_a_flag_and_its_value_are_read_together(flag: str) -> None:
    container = {"name": "web", "args": ["get", flag, "shop", "shop"]}
    made = copy_of(captured("Pod", "a", spec={"containers": [container]}))
    assert made.warnings == ("spec.containers[0].args[2]: still shop",)


def test_an_image_is_no_reference_and_a_list_of_namespaces_is_one() -> None:
    assert warnings_of("Pod", spec={"containers": [{"image": "shop/web"}]}) == ()
    told = warnings_of("apps/Deployment", spec=env("ARGS", "--namespaces=a,shop"))
    assert told == ("spec.template.spec.containers[0].env[0].value: still shop",)


def test_what_the_cluster_shares_is_told_where_it_names_the_original() -> None:
    spec = {"parameters": {"kind": "Settings", "name": "web", "namespace": "shop"}}
    shared = captured("networking.k8s.io/IngressClass", "web", "", spec=spec)
    plain = captured("networking.k8s.io/IngressClass", "plain", "", spec={})
    made = {one.ref.name: one for one in mapped(shared, plain)}
    assert made["web"].warnings == ("spec.parameters.namespace: still shop",)
    assert (made["web"].manifest, made["web"].source) == (shared.manifest, "")
    assert made["plain"] == plain
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    rule = captured("admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding", "a", "",
                    spec={"matchResources": selector})  # fmt: skip
    (told,) = mapped(rule)[0].warnings
    assert told.endswith("matchLabels.kubernetes.io/metadata.name: still shop")


def test_a_password_beside_a_name_is_not_told() -> None:
    (told,) = warnings_of("ConfigMap", data={"url": "postgres://ann:S3cret@db.shop.svc/x"})
    assert "S3cret" not in told


@pytest.mark.parametrize("key", IDENTITIES)
def test_a_cloud_that_trusts_the_original_must_be_told(key: str) -> None:
    (told,) = warnings_of("ServiceAccount", metadata={"annotations": {key: "x"}})
    assert told.startswith(f"annotation {key}: the cloud must be told")
    assert not warnings_of("ConfigMap", metadata={"annotations": {key: "x"}})


def test_what_stands_for_something_outside_is_told() -> None:
    (told,) = warnings_of("x.org/Bucket", metadata={"annotations": {EXTERNAL: "shop-files"}})
    assert "if one is deleted, so is that" in told


def test_a_second_cron_job_runs_too() -> None:
    assert warnings_of("batch/CronJob", spec={}) == ("runs at the same times as the original",)
    assert warnings_of("batch/CronJob", spec={"suspend": True}) == ()


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        ("Pod", lambda pod: pod),
        ("apps/DaemonSet", lambda pod: {"template": {"spec": pod}}),
        ("batch/CronJob", lambda pod: {"suspend": True,
                                      "jobTemplate": {"spec": {"template": {"spec": pod}}}}),
    ],
)  # fmt: skip
def test_pods_that_can_not_share_a_node_say_so(kind: str, wrap: Any) -> None:
    ports = [{"hostPort": 8080}, {"containerPort": 1}, {"hostPort": 80}]
    (told,) = warnings_of(kind, spec=wrap({"containers": [{"ports": ports}]}))
    assert told == "uses host port 80, 8080: it can't be on one node with the original"
    (told,) = warnings_of(kind, spec=wrap({"hostNetwork": True, "containers": [{"ports": ports}]}))
    assert "node's network" in told
    assert warnings_of(kind, spec=wrap({"containers": [{}]})) == ()
