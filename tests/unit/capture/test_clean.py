"""What is taken away from a live object, kind by kind, and what stays."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from reconciler.capture import clean, kept, rules
from reconciler.model.objects import Resource
from tests.unit.capture.objects import live, managed, owned_by, resource

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def cleaned(raw: dict[str, Any], kind: Resource) -> dict[str, Any]:
    """The result; on the way it is checked that the raw object was left alone."""
    before = copy.deepcopy(raw)
    found = clean.clean(raw, kind)
    assert raw == before
    again = clean.clean(copy.deepcopy(found), kind)
    assert again == found, "what was captured is captured alike"
    return found


def test_what_the_server_owns_goes_and_the_rest_stays() -> None:
    raw = live(
        "web",
        metadata={"labels": {"app": "web"}, "annotations": {LAST_APPLIED: "{}", "team": "a"}},
        data={"key": "value"},
        status={"phase": "Active"},
        somethingNew={"unknown": [1, None]},
    )
    assert cleaned(raw, resource("configmap")) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"app": "web"},
            "annotations": {"team": "a"},
        },
        "data": {"key": "value"},
        "somethingNew": {"unknown": [1, None]},
    }


def test_owners_are_remembered_without_their_uids() -> None:
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": "2"},
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "name": "web",
            "controller": True,
        },
    ]
    found = cleaned(live("x", metadata={"ownerReferences": owners}), resource("configmap"))
    assert found["metadata"]["annotations"] == {
        kept.OWNERS: "certificate.cert-manager.io/web, configmap/b"
    }
    assert "ownerReferences" not in found["metadata"]


def test_finalizers_of_controllers_go_and_others_stay() -> None:
    raw = live("x", metadata={"finalizers": ["kubernetes.io/pvc-protection", "example.org/mine"]})
    assert cleaned(raw, resource("configmap"))["metadata"]["finalizers"] == ["example.org/mine"]
    added = [*clean.SERVER_FINALIZERS, "external-attacher/ebs-csi-aws-com"]
    raw = live("x", metadata={"finalizers": added})
    assert "finalizers" not in cleaned(raw, resource("configmap"))["metadata"]


def test_namespace() -> None:
    raw = live(
        "shop",
        namespace="",
        metadata={"labels": {"kubernetes.io/metadata.name": "shop", "backup": "gold"}},
        spec={"finalizers": ["kubernetes"]},
        status={"phase": "Active"},
    )
    found = cleaned(raw, resource("namespace", namespaced=False))
    assert "spec" not in found
    assert found["metadata"]["labels"] == {"backup": "gold"}


SERVICE = {
    "type": "NodePort",
    "clusterIP": "10.96.3.4",
    "clusterIPs": ["10.96.3.4"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "ports": [
        {"name": "a", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080},
        {"name": "b", "port": 80, "protocol": "UDP", "targetPort": 80, "nodePort": 31234},
    ],
    "selector": {"app": "web"},
}


def service(metadata: dict[str, Any], **spec: Any) -> dict[str, Any]:
    raw = live("web", metadata=metadata, spec={**copy.deepcopy(SERVICE), **spec})
    found = clean.clean(raw, resource("service"))["spec"]
    assert isinstance(found, dict)
    return found


def test_a_service_loses_what_was_allocated() -> None:
    found = service(managed({"f:type": {}, "f:ports": {".": {}}}))
    ports = [{"name": "a", "port": 80, "protocol": "TCP", "targetPort": 80}]
    ports.append({"name": "b", "port": 80, "protocol": "UDP", "targetPort": 80})
    assert found == {"type": "NodePort", "ports": ports, "selector": {"app": "web"}}


def test_a_service_keeps_what_a_manager_chose() -> None:
    chosen: dict[str, Any] = {
        "f:clusterIP": {},
        "f:ipFamilyPolicy": {},
        "f:healthCheckNodePort": {},
        "f:ports": {
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:nodePort": {}, "f:port": {}},
            'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}},
        },
    }
    found = service(managed(chosen), healthCheckNodePort=32000)
    assert found["clusterIP"] == "10.96.3.4"
    assert found["clusterIPs"] == ["10.96.3.4"]
    assert found["ipFamilyPolicy"] == "SingleStack"
    assert "ipFamilies" not in found
    assert found["healthCheckNodePort"] == 32000
    assert [port.get("nodePort") for port in found["ports"]] == [30080, None]


def test_status_managers_choose_nothing() -> None:
    metadata = managed({"f:clusterIP": {}})
    metadata["managedFields"][0]["subresource"] = "status"
    assert "clusterIP" not in service(metadata)


def test_a_service_keeps_what_last_applied_shows() -> None:
    applied = {"spec": {"ports": [{"port": 80, "nodePort": 30080}], "healthCheckNodePort": None}}
    metadata = {"managedFields": [], "annotations": {LAST_APPLIED: json.dumps(applied)}}
    found = service(metadata, healthCheckNodePort=32000)
    assert [port.get("nodePort") for port in found["ports"]] == [30080, None]
    assert "healthCheckNodePort" not in found
    assert found["ipFamilies"] == ["IPv4"], "nobody knows who set it: it stays"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 1}', "null"])
def test_a_broken_last_applied_breaks_nothing(text: str) -> None:
    found = service({"managedFields": [], "annotations": {LAST_APPLIED: text}})
    assert "clusterIP" not in found


def test_a_headless_service_stays_headless() -> None:
    found = service({"managedFields": []}, clusterIP="None", clusterIPs=["None"], type="ClusterIP")
    assert found["clusterIP"] == "None"
    assert found["clusterIPs"] == ["None"]


def test_service_account_loses_made_tokens_only() -> None:
    raw = live(
        "web",
        secrets=[{"name": "web-token-x7k2p"}, {"name": "mine"}],
        imagePullSecrets=[{"name": "web-dockercfg-abcde"}],
    )
    found = cleaned(raw, resource("serviceaccount"))
    assert found["secrets"] == [{"name": "mine"}]
    assert "imagePullSecrets" not in found


def test_a_token_secret_that_a_person_made_keeps_its_shape() -> None:
    raw = live(
        "ci",
        type="kubernetes.io/service-account-token",
        data={"token": "dG9r", "ca.crt": "Y2E=", "namespace": "c2hvcA=="},
        metadata={
            "labels": {"kubernetes.io/legacy-token-last-used": "2026-11-21"},
            "annotations": {
                "kubernetes.io/service-account.name": "ci",
                "kubernetes.io/service-account.uid": "1",
            },
        },
    )
    found = cleaned(raw, resource("secret"))
    assert "data" not in found
    assert found["metadata"] == {
        "name": "ci",
        "namespace": "shop",
        "annotations": {"kubernetes.io/service-account.name": "ci"},
    }


POD: dict[str, Any] = {
    "nodeName": "node-1",
    "priority": 0,
    "preemptionPolicy": "PreemptLowerPriority",
    "ephemeralContainers": [{"name": "debugger"}],
    "containers": [
        {
            "name": "web",
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "kube-api-access-x7k2p", "mountPath": "/var/run/secrets"},
            ],
        }
    ],
    "initContainers": [
        {"name": "init", "volumeMounts": [{"name": "kube-api-access-x7k2p", "mountPath": "/v"}]}
    ],
    "volumes": [
        {"name": "data", "emptyDir": {}},
        {"name": "kube-api-access-x7k2p", "projected": {"sources": []}},
    ],
    "tolerations": [
        {
            "key": "node.kubernetes.io/not-ready",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        },
        {"key": "mine", "operator": "Exists"},
    ],
}


def test_a_pod_loses_what_scheduler_and_admission_put_on() -> None:
    raw = live(
        "web",
        metadata={"annotations": {"cni.projectcalico.org/podIP": "10.0.0.1"}},
        spec=POD,
        status={"phase": "Succeeded"},
    )
    found = cleaned(raw, resource("pod"))
    assert found["spec"] == {
        "containers": [{"name": "web", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "initContainers": [{"name": "init"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "tolerations": [{"key": "mine", "operator": "Exists"}],
    }
    assert found["metadata"]["annotations"] == {kept.PHASE: "Succeeded"}


def test_a_pod_keeps_a_volume_that_only_sounds_like_a_token() -> None:
    spec = {"containers": [], "volumes": [{"name": "kube-api-access-x7k2p", "emptyDir": {}}]}
    assert cleaned(live("web", spec=spec), resource("pod"))["spec"] == spec


def test_deployments_lose_rollout_bookkeeping() -> None:
    raw = live(
        "web",
        metadata={"annotations": {"deployment.kubernetes.io/revision": "7", "keep": "me"}},
        spec={
            "replicas": 3,
            "template": {
                "metadata": {
                    "creationTimestamp": None,
                    "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-21"},
                },
                "spec": {"priority": 5},
            },
        },
    )
    found = cleaned(raw, resource("deployment.apps"))
    assert found["metadata"]["annotations"] == {"keep": "me"}
    assert found["spec"]["template"]["metadata"] == {
        "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-21"}
    }
    assert found["spec"]["template"]["spec"] == {"priority": 5}, "a template is what was asked for"


def test_claim_templates_lose_their_status() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "creationTimestamp": None},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    }
    raw = live("db", spec={"volumeClaimTemplates": [claim]})
    found = cleaned(raw, resource("statefulset.apps"))["spec"]["volumeClaimTemplates"][0]
    assert found["metadata"] == {"name": "data"}
    assert "status" not in found


def test_a_job_loses_what_is_generated_from_its_uid() -> None:
    generated = {
        "batch.kubernetes.io/controller-uid": "u",
        "controller-uid": "u",
        "batch.kubernetes.io/job-name": "migrate",
        "job-name": "migrate",
    }
    raw = live(
        "migrate",
        metadata={
            "labels": dict(generated),
            "annotations": {"batch.kubernetes.io/job-tracking": ""},
        },
        spec={
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "manualSelector": False,
            "template": {"metadata": {"labels": {**generated, "app": "shop"}}, "spec": {}},
        },
        status={"completionTime": "2026-11-21T04:00:00Z"},
    )
    found = cleaned(raw, resource("job.batch"))
    assert found["spec"] == {"template": {"metadata": {"labels": {"app": "shop"}}, "spec": {}}}
    assert found["metadata"] == {
        "name": "migrate",
        "namespace": "shop",
        "annotations": {kept.COMPLETED: "2026-11-21T04:00:00Z"},
    }


def test_a_failed_job_is_told_from_a_completed_one() -> None:
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-11-21T04:00:00Z"}
    raw = live("migrate", spec={"template": {}}, status={"conditions": [condition]})
    found = cleaned(raw, resource("job.batch"))["metadata"]["annotations"]
    assert found == {kept.COMPLETED: "Failed 2026-11-21T04:00:00Z"}


def test_a_job_with_a_manual_selector_keeps_it() -> None:
    spec = {
        "manualSelector": True,
        "selector": {"matchLabels": {"controller-uid": "mine"}},
        "template": {"metadata": {"labels": {"controller-uid": "mine"}}},
    }
    assert cleaned(live("x", spec=spec), resource("job.batch"))["spec"] == spec


def test_a_cron_job_loses_empty_timestamps() -> None:
    inner = {"metadata": {"creationTimestamp": None}, "spec": {"template": {"metadata": {}}}}
    found = cleaned(live("x", spec={"jobTemplate": inner}), resource("cronjob.batch"))
    assert found["spec"] == {"jobTemplate": {"spec": {"template": {}}}}


def test_a_claim_loses_its_binding_and_remembers_its_source() -> None:
    raw = live(
        "data",
        metadata={
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/selected-node": "node-1",
                "volume.kubernetes.io/storage-provisioner": "csi",
                "mine": "1",
            },
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        spec={
            "volumeName": "pvc-1",
            "dataSource": {"kind": "PersistentVolumeClaim", "name": "old"},
            "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "old"},
            "storageClassName": "fast",
        },
    )
    found = cleaned(raw, resource("persistentvolumeclaim"))
    assert found["spec"] == {"storageClassName": "fast"}
    assert found["metadata"]["annotations"] == {
        kept.DATA_SOURCE: "persistentvolumeclaim/old",
        "mine": "1",
    }


def test_a_claim_that_a_person_tied_to_a_volume_stays_tied() -> None:
    raw = live(
        "data",
        metadata={"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        spec={"volumeName": "nfs-1"},
    )
    assert cleaned(raw, resource("persistentvolumeclaim"))["spec"] == {"volumeName": "nfs-1"}


def test_a_volume_keeps_its_claim_by_name() -> None:
    raw = live(
        "pvc-1",
        namespace="",
        metadata={"annotations": {"pv.kubernetes.io/provisioned-by": "csi"}},
        spec={
            "claimRef": {"namespace": "shop", "name": "data", "uid": "1", "resourceVersion": "2"}
        },
    )
    found = cleaned(raw, resource("persistentvolume", namespaced=False))
    assert found["spec"] == {"claimRef": {"namespace": "shop", "name": "data"}}
    assert found["metadata"]["annotations"] == {"pv.kubernetes.io/provisioned-by": "csi"}


def test_small_rules() -> None:
    crd = live(
        "x", namespace="", spec={"preserveUnknownFields": False, "conversion": {"strategy": "None"}}
    )
    kind = resource("customresourcedefinition.apiextensions.k8s.io", namespaced=False)
    assert cleaned(crd, kind)["spec"] == {}
    role = live("x", namespace="", aggregationRule={"clusterRoleSelectors": []}, rules=[{}])
    kind = resource("clusterrole.rbac.authorization.k8s.io", namespaced=False)
    assert "rules" not in cleaned(role, kind)
    application = live("x", operation={"sync": {}}, spec={})
    assert "operation" not in cleaned(application, resource("application.argoproj.io"))


def test_an_owned_object_is_cleaned_alike_after_it_was_created_without_its_owner() -> None:
    found = clean.clean(live("x", metadata=owned_by("Widget", "w")), resource("configmap"))
    again = clean.clean(live("x", metadata=found["metadata"]), resource("configmap"))
    assert again == found


def test_the_table_names_every_kind_that_has_a_rule() -> None:
    documented = " ".join(line.kind for line in rules.TABLE)
    for folder in rules.BY_KIND:
        word = folder.partition(".")[0]
        covered = word in documented or word in ("replicationcontroller", "podtemplate")
        assert covered, f"{folder} has a rule and no line in the table"
    assert all(line.why and line.action for line in rules.TABLE)
