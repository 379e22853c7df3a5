"""What ``kubectl apply -k`` would send: rights are as small as docs/controller.md says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.adapters.credentials import MOUNTED
from reconciler.adapters.policytree import Limits
from reconciler.engine.applying import LEASE
from reconciler.model import naming
from reconciler.plan.cronjob import CONFIG_FOLDER, SERVICE_ACCOUNT
from reconciler.policy import parse_config

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KUBECTL = Path(sys.executable).parent / "kubectl"
EXAMPLES = sorted(path.parent for path in (DEPLOY / "examples").glob("*/kustomization.yaml"))

Object = dict[str, Any]


def render(folder: Path) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@pytest.fixture(scope="module")
def base() -> list[Object]:
    return render(DEPLOY / "base")


def one(objects: list[Object], kind: str, name: str) -> Object:
    found = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind}/{name}"
    return found[0]


def rules_of(objects: list[Object], account: str) -> Iterator[tuple[str, Object]]:
    """(kind of the role, rule) of everything that is bound to a service account."""
    for binding in objects:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        if any(subject["name"] == account for subject in binding["subjects"]):
            role = one(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])
            cluster = binding["kind"] == "ClusterRoleBinding"
            yield from (("cluster" if cluster else "own", rule) for rule in role["rules"])


def test_i9_the_controller_has_room_for_what_git_may_take(base: list[Object]) -> None:
    """Else the node ends it, at each look at a hostile repository, before git is refused."""
    pod = one(base, "Deployment", "backstay-controller")["spec"]["template"]["spec"]
    memory = pod["containers"][0]["resources"]["limits"]["memory"]
    assert int(memory.removesuffix("Mi")) << 20 >= Limits().memory + (256 << 20)
    disk = next(volume for volume in pod["volumes"] if volume["name"] == "tmp")
    size = disk["emptyDir"]["sizeLimit"]
    assert int(size.removesuffix("Gi")) << 30 >= 8 * Limits().fetched


@pytest.mark.parametrize("folder", [DEPLOY / "base", *EXAMPLES], ids=lambda path: path.name)
def test_it_renders_with_every_object_in_its_namespace(folder: Path) -> None:
    clusterwide = {
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for found in render(folder):
        if found["kind"] not in clusterwide:
            assert found["metadata"]["namespace"] == naming.DEFAULT_NAMESPACE, found


def test_no_role_has_a_wildcard_verb(base: list[Object]) -> None:
    roles = [o for o in [*base, *restore_component()] if o["kind"] in ("Role", "ClusterRole")]
    assert len(roles) == 5
    for role in roles:
        assert all("*" not in rule["verbs"] for rule in role["rules"]), role["metadata"]["name"]


def test_the_controller_writes_in_its_own_namespace_without_secrets(base: list[Object]) -> None:
    found = list(rules_of(base, "backstay-controller"))
    rules = [(where, rule) for where, rule in found if where == "own"]
    lists = [rule for where, rule in found if where == "cluster"]
    assert {verb for rule in lists for verb in rule["verbs"]} == {"list", "watch"}
    watched = {r for rule in lists if "watch" in rule["verbs"] for r in rule["resources"]}
    assert watched == {"namespaces", "persistentvolumeclaims"}
    assert {resource for rule in lists for resource in rule["resources"]} == {
        *("namespaces", "persistentvolumeclaims", "pods", "statefulsets"),
        *("storageclasses", "volumesnapshotclasses"),
    }
    resources = {resource for _, rule in rules for resource in rule["resources"]}
    assert resources == {
        *("cronjobs", "configmaps", "jobs", "leases"),
        *("backuppolicies", "backuppolicies/status", "events"),
    }
    jobs = [rule["verbs"] for _, rule in rules if "jobs" in rule["resources"]]
    assert jobs == [["get", "list", "create"]]
    named = [rule for _, rule in rules if rule.get("resourceNames")]
    assert [rule["resourceNames"] for rule in named] == [[LEASE]]


def test_a_run_may_list_everything_and_get_little(base: list[Object]) -> None:
    rules = list(rules_of(base, SERVICE_ACCOUNT))
    wild = [rule for _, rule in rules if "*" in rule["resources"]]
    # `get` on everything would be exec, port-forward and the kubelet as well.
    assert [rule["verbs"] for rule in wild] == [["list"]]
    writing = {
        (where, resource)
        for where, rule in rules
        for resource in rule["resources"]
        if set(rule["verbs"]) - {"get", "list"}
    }
    assert writing == {("cluster", "jobs"), ("cluster", "secrets"), ("own", "leases")}
    gets = {r for where, rule in rules if "get" in rule["verbs"] for r in rule["resources"]}
    assert gets == {"namespaces", "jobs", "secrets", "leases", "pods"}


def test_the_admission_policy_is_about_the_account_that_runs_have(base: list[Object]) -> None:
    policy = one(base, "ValidatingAdmissionPolicy", "backstay-run")
    binding = one(base, "ValidatingAdmissionPolicyBinding", "backstay-run")
    account = one(base, "ServiceAccount", SERVICE_ACCOUNT)
    user = f"system:serviceaccount:{account['metadata']['namespace']}:{SERVICE_ACCOUNT}"
    assert user in policy["spec"]["matchConditions"][0]["expression"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"] == {"policyName": "backstay-run", "validationActions": ["Deny"]}
    matched = {
        (resource, operation)
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }
    written = {
        (resource, operation)
        for where, rule in rules_of(base, SERVICE_ACCOUNT)
        for resource in rule["resources"]
        for operation in ("CREATE", "UPDATE", "DELETE")
        if where == "cluster" and set(rule["verbs"]) - {"get", "list"}
    }
    assert matched == written


def test_restore_has_no_rights_until_its_component_binds_it(base: list[Object]) -> None:
    assert one(base, "ServiceAccount", "backstay-restore")
    assert list(rules_of(base, "backstay-restore")) == []
    bound = list(rules_of(restore_component(), "backstay-restore"))
    assert {where for where, _ in bound} == {"cluster"}
    deletes = {r for _, rule in bound if "delete" in rule["verbs"] for r in rule["resources"]}
    assert deletes == {"jobs", "secrets"}


def test_the_restore_component_fits_an_overlay(tmp_path: Path) -> None:
    def from_here(path: str) -> str:
        return os.path.relpath(DEPLOY / path, tmp_path.resolve())

    lines = {"resources": [from_here("base")], "components": [from_here("components/restore")]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    bound = list(rules_of(render(tmp_path), "backstay-restore"))
    assert {where for where, _ in bound} == {"cluster"}


def test_the_hooks_component_gives_nobody_a_right_and_forbids_shells(tmp_path: Path) -> None:
    parts = (("resources", "base"), ("components", "components/hooks"))
    lines = {key: [os.path.relpath(DEPLOY / path, tmp_path.resolve())] for key, path in parts}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    objects = render(tmp_path)
    assert [rule for _, rule in rules_of(objects, SERVICE_ACCOUNT)] == [
        rule for _, rule in rules_of(render(DEPLOY / "base"), SERVICE_ACCOUNT)
    ]
    assert one(objects, "ClusterRole", "backstay-hooks")["rules"] == [
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}
    ]
    policy = one(objects, "ValidatingAdmissionPolicy", "backstay-hooks")["spec"]
    binding = one(objects, "ValidatingAdmissionPolicyBinding", "backstay-hooks")["spec"]
    assert binding == {"policyName": "backstay-hooks", "validationActions": ["Deny"]}
    user = f"system:serviceaccount:{naming.DEFAULT_NAMESPACE}:{SERVICE_ACCOUNT}"
    assert f"'{user}'" in policy["matchConditions"][0]["expression"]
    assert policy["failurePolicy"] == "Fail"
    (matched,) = policy["matchConstraints"]["resourceRules"]
    assert (matched["operations"], matched["resources"][0]) == (["CONNECT"], "pods/exec")
    rules = " ".join(found["expression"] for found in policy["validations"])
    for forbidden in ("stdin", "tty", f"!= '{naming.DEFAULT_NAMESPACE}'"):
        assert forbidden in rules


def test_the_webhook_component_opens_a_port_of_its_own(tmp_path: Path) -> None:
    parts = (("resources", "base"), ("components", "components/webhook"))
    lines = {key: [os.path.relpath(DEPLOY / path, tmp_path.resolve())] for key, path in parts}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    objects = render(tmp_path)
    pod = one(objects, "Deployment", "backstay-controller")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert f"--listen-webhook=:{ports['webhook']}" in container["args"]
    assert ports["webhook"] != ports["http"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["webhook"] == f"{MOUNTED}/backstay-webhook"
    service = one(objects, "Service", "backstay-webhook")["spec"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert [port["targetPort"] for port in service["ports"]] == ["webhook"]


def restore_component() -> list[Object]:
    text = (DEPLOY / "components/restore/rbac.yaml").read_text()
    return list(yaml.safe_load_all(text))


def test_the_controller_meets_pod_security_restricted(base: list[Object]) -> None:
    labels = one(base, "Namespace", naming.DEFAULT_NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = one(base, "Deployment", "backstay-controller")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = pod["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["config"] == CONFIG_FOLDER
    for name in ("policy-git", "policy-signers", "inventory-git", "manifest-git"):
        assert mounts[name] == f"{MOUNTED}/backstay-{name}"


def test_the_controller_listens_where_it_is_asked_for_its_health(base: list[Object]) -> None:
    pod = one(base, "Deployment", "backstay-controller")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (port,) = (p for p in container["ports"] if p["name"] == "http")
    args = container["args"]
    assert args[args.index("--listen") + 1] == f":{port['containerPort']}"
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_examples_have_a_valid_config_that_fits_the_deployment(folder: Path) -> None:
    objects = render(folder)
    text = one(objects, "ConfigMap", "backstay-config")["data"]["backstay.yaml"]
    config = parse_config("backstay.yaml", text.encode())
    pod = one(objects, "Deployment", "backstay-controller")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == config.image
    secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    credentials = config.policy_source.credentials
    assert credentials is not None
    git = {"backstay-inventory-git", "backstay-manifest-git-read", "backstay-policy-signers"}
    assert secrets == {credentials.secret_ref, *git}


def test_the_readme_names_every_account(base: list[Object]) -> None:
    text = (DEPLOY / "README.md").read_text()
    for account in (o for o in base if o["kind"] == "ServiceAccount"):
        assert f"`{account['metadata']['name']}`" in text


def test_the_copies_component_adds_its_rights_and_what_narrows_them(tmp_path: Path) -> None:
    parts = (("resources", "base"), ("components", "components/copies"))
    lines = {key: [os.path.relpath(DEPLOY / path, tmp_path.resolve())] for key, path in parts}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    objects = render(tmp_path)
    before = [rule for _, rule in rules_of(render(DEPLOY / "base"), SERVICE_ACCOUNT)]
    added = [rule for _, rule in rules_of(objects, SERVICE_ACCOUNT) if rule not in before]
    assert {
        (verb, kind) for rule in added for verb in rule["verbs"] for kind in rule["resources"]
    } == {
        *((verb, kind) for verb in ("get", "create", "patch", "delete") for kind in COPIES),
        ("delete", "pods"),
    }
    policy = one(objects, "ValidatingAdmissionPolicy", "backstay-copies")["spec"]
    binding = one(objects, "ValidatingAdmissionPolicyBinding", "backstay-copies")["spec"]
    assert binding == {"policyName": "backstay-copies", "validationActions": ["Deny"]}
    user = f"system:serviceaccount:{naming.DEFAULT_NAMESPACE}:{SERVICE_ACCOUNT}"
    assert f"'{user}'" in policy["matchConditions"][0]["expression"]
    assert policy["failurePolicy"] == "Fail"
    matched = policy["matchConstraints"]["resourceRules"]
    # Whatever it may change is asked about: nothing that it may do is passed over.
    assert {kind for rule in matched for kind in rule["resources"]} == {*COPIES, "pods"}
    assert all("DELETE" in rule["operations"] for rule in matched)


COPIES = ("volumesnapshots", "volumesnapshotcontents", "persistentvolumeclaims")
