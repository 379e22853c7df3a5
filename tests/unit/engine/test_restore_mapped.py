"""A copy beside the original: both are whole, and nothing of the original is touched."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.restore import Restore
from reconciler.model.errors import PartialFailure, Refused, UsageError
from reconciler.model.policy import (
    Manifests,
    NamespaceSelector,
    Selector,
    compiled_digest,
    compiled_text,
)
from reconciler.model.redaction import Redact, RedactRule
from reconciler.model.restore import RestoreAction, RestorePlan
from reconciler.model.volumes import MoveResult, MoveTask
from reconciler.plan.cronjob import Place, WantedPolicy, make_config_map, make_cron_job
from tests.unit.engine.run_world import (
    MARKER,
    POLICY,
    REPOSITORY,
    RUN_IDS,
    SYSTEM,
    Crash,
    RunWorld,
    manifest,
)

RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
SPEC = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31080}]}
APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": SPEC})}
SERVICE = manifest("Service", "web", spec=SPEC, metadata={"annotations": APPLIED})
RULES = [{"host": "shop.example.org", "http": {"paths": []}}]
INGRESS = manifest("networking.k8s.io/v1/Ingress", "web", spec={"rules": RULES})


def mapping(world: RunWorld, names: dict[str, str] | None = None) -> Restore:
    return world.restore(map_namespaces=names or {"shop": "shop2"})


def mapped(world: RunWorld) -> RestorePlan:
    """Planned and executed; the plan."""
    restore = mapping(world)
    plan = restore.plan()
    restore.execute(plan)
    return plan


def whole_world() -> RunWorld:
    """An application with everything that there is only once; captured."""
    world = RunWorld()
    world.cluster.put(SERVICE)
    world.cluster.put(INGRESS)
    world.cluster.put(manifest(f"{RBAC}/RoleBinding", "web", subjects=[ACCOUNT]))
    world.cluster.put(manifest(f"{RBAC}/ClusterRoleBinding", "nodes", "", subjects=[ACCOUNT]))
    world.run()
    world.cluster.writes.clear()
    return world


def of_original(world: RunWorld) -> list[dict[str, Any]]:
    kinds = ("ConfigMap", "Secret", "Service", "Ingress", "Deployment", "PersistentVolumeClaim",
             "RoleBinding", "ServiceAccount")  # fmt: skip
    found = [raw for kind in kinds for raw in world.cluster.all(kind)]
    bindings = world.cluster.all("ClusterRoleBinding")
    return [
        *(raw for raw in found if raw["metadata"]["namespace"] == "shop"),
        *(raw for raw in bindings if raw["metadata"]["name"] == "nodes"),
        *(raw for raw in world.cluster.all("Namespace") if raw["metadata"]["name"] == "shop"),
    ]


def copy_of(world: RunWorld, kind: str) -> dict[str, Any]:
    (found,) = (
        raw
        for raw in world.cluster.all(kind)
        if raw["metadata"]["namespace"] == "shop2" and raw["metadata"]["name"] != "default"
    )
    return found


def test_the_copy_has_everything_and_the_original_is_untouched() -> None:
    world = whole_world()
    before = of_original(world)
    world.data["shop", "files"] = b"newer files of the original"
    plan = mapped(world)
    assert of_original(world) == before
    assert world.data["shop", "files"] == b"newer files of the original"
    assert world.data["shop2", "files"] == b"a thousand files"
    password = base64.b64encode(MARKER.encode()).decode()
    assert copy_of(world, "Secret")["data"] == {"password": password}
    assert MARKER in copy_of(world, "Secret")["metadata"]["annotations"]["note"]
    assert copy_of(world, "Deployment")["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert copy_of(world, "RoleBinding")["subjects"][0]["namespace"] == "shop2"
    names = [raw["metadata"]["name"] for raw in world.cluster.all("ClusterRoleBinding")]
    assert sorted(names) == ["nodes", "nodes-shop2"]
    assert copy_of(world, "Service")["spec"]["ports"][0].get("nodePort") != 31080
    assert [raw["metadata"]["namespace"] for raw in world.cluster.all("Ingress")] == ["shop"]
    assert {ref.namespace for _, ref in world.deeds()} == {"", "shop2"}
    (skipped,) = (step for step in plan.steps if step.action is RestoreAction.SKIP)
    assert skipped.why == "host shop.example.org is taken by shop/web; not restored"


def test_i6_a_mapped_plan_is_empty_the_second_time() -> None:
    world = whole_world()
    first = mapped(world)
    assert not first.empty
    world.cluster.writes.clear()
    again = mapping(world).plan()
    assert again.empty
    assert not [step for step in again.steps if step.differs]
    result = mapping(world).execute(again)
    assert (result.created, result.filled) == (0, 0)
    assert world.deeds() == []


def test_the_data_comes_from_the_originals_repository() -> None:
    world = whole_world()
    tasks: list[MoveTask] = []

    def move(task: MoveTask) -> MoveResult:
        tasks.append(task)
        return world.move(task)

    world.mover._effect = move
    plan = mapped(world)
    (fill,) = plan.fills
    assert (fill.source, fill.namespace, fill.claim) == ("shop", "shop2", "files")
    (task,) = tasks
    assert (task.namespace, task.host) == ("shop2", "prod-eu/shop")
    assert task.access.url.endswith("/shop")
    assert task.run_as_user == 1000


def test_i11_killed_before_its_data_it_goes_on() -> None:
    world = whole_world()

    def die(_: MoveTask) -> MoveResult:
        raise Crash

    world.mover._effect = die
    with pytest.raises(Crash):
        mapped(world)
    assert "shop2" not in {raw["metadata"]["namespace"] for raw in world.cluster.all("Deployment")}
    world.mover._effect = world.move
    plan = mapped(world)
    assert [fill.why for fill in plan.fills] == ["an earlier restore began to fill it"]
    assert world.data["shop2", "files"] == b"a thousand files"
    assert mapping(world).plan().empty


def test_i12_what_is_in_the_target_is_kept() -> None:
    world = whole_world()
    world.cluster.put(manifest("Namespace", "shop2", ""))
    theirs = world.cluster.put(manifest("ConfigMap", "settings", "shop2", data={"colour": "red"}))
    plan = mapped(world)
    assert [step.path for step in plan.steps if step.differs] == ["shop2/configmap/settings.yaml"]
    assert copy_of(world, "ConfigMap") == theirs
    assert world.data["shop2", "files"] == b"a thousand files"


def test_hosts_and_node_ports_come_back_where_nobody_has_them() -> None:
    world = whole_world()
    world.lose_shop()
    plan = mapped(world)
    assert plan.count(RestoreAction.SKIP) == 0
    assert copy_of(world, "Service")["spec"]["ports"][0]["nodePort"] == 31080
    assert copy_of(world, "Ingress")["spec"]["rules"] == RULES
    assert mapping(world).plan().empty


def test_a_secret_that_differs_from_its_fingerprint_is_not_copied() -> None:
    world = whole_world()
    good, other = (base64.b64encode(text) for text in (MARKER.encode(), b"another one"))
    for tree in world.repository("_cluster").trees.values():
        for path, node in tree.items():
            tree[path] = replace(node, data=node.data.replace(good, other))
    plan = mapping(world).plan()
    with pytest.raises(Refused, match="not the one whose fingerprint"):
        mapping(world).execute(plan)
    assert world.deeds() == []


def test_a_secret_of_the_copy_that_was_changed_is_seen() -> None:
    world = whole_world()
    mapped(world)
    other = base64.b64encode(b"another one").decode()
    world.cluster.edit(copy_of(world, "Secret"), lambda raw: raw["data"].update(password=other))
    differing = [step.path for step in mapping(world).plan().steps if step.differs]
    assert differing == ["shop2/secret/db.yaml"]


def test_a_shared_definition_is_equal_as_it_was_captured() -> None:
    world = RunWorld()
    service = {"clientConfig": {"service": {"namespace": "shop", "name": "web"}}}
    spec = {
        "group": "x.org", "scope": "Namespaced", "names": {"kind": "Coupon", "plural": "coupons"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
        "conversion": {"strategy": "Webhook", "webhook": service},
    }  # fmt: skip
    crd = manifest(
        "apiextensions.k8s.io/v1/CustomResourceDefinition", "coupons.x.org", "", spec=spec
    )
    world.cluster.put(crd)
    world.cluster.put(manifest("x.org/v1/Coupon", "ten", spec={"off": 10}))
    world.run()
    plan = mapped(world)
    (step,) = (step for step in plan.steps if step.ref.kind == "CustomResourceDefinition")
    assert (step.action, step.differs) == (RestoreAction.KEEP, False)
    assert copy_of(world, "Coupon")["spec"] == {"off": 10}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"shopp": "shop2"}, "no namespace shopp"),
        ({"shop": "backstay-system"}, "nothing is copied into"),
        ({"shop": "kube-public"}, "nothing is copied into"),
    ],
)
def test_a_mapping_that_does_not_fit_changes_nothing(names: dict[str, str], says: str) -> None:
    world = whole_world()
    with pytest.raises(UsageError, match=says):
        mapping(world, names).plan()
    assert world.deeds() == []


def test_a_copy_is_captured_as_an_application_of_its_own() -> None:
    world = whole_world()
    world.policy = replace(
        world.policy,
        selector=replace(
            world.policy.selector,
            namespaces=replace(world.policy.selector.namespaces, names=("shop", "shop2")),
        ),
    )
    mapped(world)
    world.run(2)
    assert "shop2/secret/db.yaml" in world.tree()
    assert world.record().name == RUN_IDS[1]
    with pytest.raises(UsageError, match="in the recovery point itself"):
        mapping(world).plan()


def schedule(world: RunWorld, name: str, *globs: str) -> None:
    """What the controller puts there for a policy."""
    policy = replace(
        POLICY, name=name, selector=Selector(namespaces=NamespaceSelector(names=globs))
    )
    text = compiled_text(policy, [REPOSITORY])
    wanted = WantedPolicy(
        policy=policy, text=text, digest=compiled_digest(text), revision="main@sha1:4", source="a#0"
    )
    world.cluster.put(make_config_map(wanted, Place(namespace=SYSTEM)))
    world.cluster.put(make_cron_job(wanted, world.config, Place(namespace=SYSTEM)))


def test_the_plan_says_who_will_protect_the_copy() -> None:
    world = whole_world()
    assert mapping(world).plan().notes == ()
    schedule(world, "shop", "shop", "shop-*")
    assert mapping(world).plan().notes == ("shop2 is protected by no policy",)
    schedule(world, "all", "*")
    assert mapping(world).plan().notes == ("shop2 is protected by policy all as well (matches *)",)
    world.cluster.edit(
        world.cluster.all("CronJob")[0],
        lambda raw: raw["metadata"]["annotations"].update({"backstay.dev/digest": "sha256:gone"}),
    )
    assert len(mapping(world).plan().notes) == 1
    for found in world.cluster.all("ConfigMap"):
        if found["metadata"]["namespace"] == SYSTEM:
            world.cluster.edit(found, lambda raw: raw["data"].update({"policy.json": "{"}))
    assert mapping(world).plan().notes == ()


def test_a_copy_never_names_the_original_where_the_reference_is_redacted() -> None:
    """What is redacted can't be followed in a plan; its value comes back in the middle of one."""
    world = RunWorld()
    binding = manifest(f"{RBAC}/RoleBinding", "web", subjects=[ACCOUNT])
    nodes = manifest(f"{RBAC}/ClusterRoleBinding", "nodes", "", subjects=[ACCOUNT])
    world.cluster.put(binding)
    world.cluster.put(nodes)
    world.cluster.put(INGRESS)
    rule = RedactRule(name="all", kinds=("*",), paths=("*",))
    world.policy = replace(world.policy, manifests=Manifests(redact=Redact(rules=(rule,))))
    world.run()
    for gone in (nodes, INGRESS):
        world.cluster.remove(gone)
    restore = mapping(world)
    with pytest.raises(PartialFailure) as failed:
        restore.execute(restore.plan())
    told = str(failed.value)
    assert "shop2/rolebinding.rbac.authorization.k8s.io/web.yaml: subjects[0].namespace" in told
    assert [raw["metadata"]["namespace"] for raw in world.cluster.all("RoleBinding")] == ["shop"]
    assert world.cluster.all("ClusterRoleBinding") == []
    assert world.cluster.all("Ingress") == []
    assert copy_of(world, "ConfigMap")["data"] == {"colour": "green"}
