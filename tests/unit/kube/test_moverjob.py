"""The Job and the Secret of a mover: golden, and the parts that must never change by accident."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.config import (
    ClusterConfig,
    Config,
    JobSettings,
    ManifestStoreConfig,
    PolicySourceConfig,
    Resources,
)
from reconciler.model.volumes import MoveKind, MoveTask
from reconciler.plan import moverjob
from reconciler.plan.moverjob import MoverSettings
from tests.conftest import Golden
from tests.unit.kube.test_moverprotocol import task

SETTINGS = MoverSettings()


def pod_of(made: MoveTask) -> dict[str, Any]:
    """The pod of a task's Job."""
    spec: dict[str, Any] = moverjob.make_job(made, SETTINGS, suspend=False)["spec"]["template"][
        "spec"
    ]
    return spec


USED = replace(
    task(),
    node="node-1",
    run_as_user=999,
    run_as_group=998,
    fs_group=997,
    supplemental_groups=(44,),
    tolerations=({"key": "gpu", "operator": "Exists"},),
)
CASES = {
    "backup": task(),
    "backup-beside-a-pod": USED,
    "backup-privileged": replace(USED, privileged=True),
    "restore-privileged": replace(task(MoveKind.RESTORE), privileged=True),
}


@pytest.mark.parametrize("name", CASES)
def test_the_job(name: str, golden: Golden) -> None:
    made = moverjob.make_job(CASES[name], SETTINGS, suspend=True)
    golden(f"kube/mover-{name}.json", json.dumps(made, indent=1) + "\n")


def test_a_name_tells_what_the_mover_does() -> None:
    for kind in MoveKind:
        made = task(kind)
        place = {"run_id": made.run_id, "namespace": made.namespace, "claim": made.claim}
        assert moverjob.kind_of(moverjob.mover_name(made), **place) is kind
        other = {**place, "claim": "another"}
        assert moverjob.kind_of(moverjob.mover_name(made), **other) is None


def test_the_secret_belongs_to_the_job() -> None:
    made = moverjob.make_secret(task(), "uid-of-the-job")
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": moverjob.mover_name(task()),
            "uid": "uid-of-the-job",
        }
    ]
    assert {key: base64.b64decode(value) for key, value in made["data"].items()} == {
        "RESTIC_PASSWORD": b"hidden",
        "RESTIC_REPOSITORY": b"s3:https://s3.example.org/b/shop",
    }
    assert made["metadata"]["labels"]["backstay.dev/component"] == "credentials"


def test_i3_no_secret_is_in_the_job() -> None:
    for case in CASES.values():
        assert "hidden" not in json.dumps(moverjob.make_job(case, SETTINGS, suspend=False))


def test_same_task_same_name() -> None:
    names = {
        moverjob.mover_name(case)
        for case in (
            task(),
            replace(task(), claim="other"),
            replace(task(), namespace="other"),
            replace(task(), run_id="other"),
            task(MoveKind.RESTORE),
        )
    }
    assert len(names) == 5
    assert moverjob.mover_name(task()) == moverjob.mover_name(USED)


def test_root_of_a_pod_is_not_taken_over() -> None:
    context = pod_of(replace(USED, run_as_user=0, run_as_group=0))["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"]) == (moverjob.DEFAULT_USER, True)


def test_a_privileged_mover_leaves_groups_alone() -> None:
    context = pod_of(CASES["backup-privileged"])["securityContext"]
    assert "fsGroup" not in context
    assert "supplementalGroups" not in context


def test_only_a_restore_mounts_to_write() -> None:
    for kind, read_only in ((MoveKind.BACKUP, True), (MoveKind.RESTORE, False)):
        data = pod_of(task(kind))["containers"][0]["volumeMounts"][0]
        assert (data["mountPath"], data["readOnly"]) == ("/data/data", read_only)


@pytest.mark.parametrize("name", CASES)
def test_i14_a_mover_has_one_claim_one_repository_and_no_token(name: str) -> None:
    pod = pod_of(CASES[name])
    assert pod["automountServiceAccountToken"] is False
    security = pod["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    claims = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in claims] == ["data"]
    assert {next(key for key in v if key != "name") for v in pod["volumes"]} <= {
        "persistentVolumeClaim",
        "emptyDir",
    }
    (keys,) = pod["containers"][0]["envFrom"]
    assert keys == {"secretRef": {"name": moverjob.mover_name(CASES[name])}}
    secret = moverjob.make_secret(CASES[name], "uid")
    url = base64.b64decode(secret["data"]["RESTIC_REPOSITORY"]).decode()
    assert url == CASES[name].access.url


def test_belonging_needs_label_run_and_claim() -> None:
    job = moverjob.make_job(task(), SETTINGS, suspend=True)
    assert moverjob.belongs_to(task(), job)
    assert not moverjob.belongs_to(task(), job, moverjob.COMPONENT_CREDENTIALS)
    assert not moverjob.belongs_to(replace(task(), run_id="other"), job)
    assert not moverjob.belongs_to(replace(task(), claim="other"), job)
    assert not moverjob.belongs_to(task(), {"metadata": {"name": "x"}})
    assert moverjob.image_of(job) == "backstay:1"


def test_settings_come_from_config() -> None:
    config = Config(
        cluster=ClusterConfig("prod"),
        policy_source=PolicySourceConfig(url="ssh://git@example.org/policies"),
        manifest_store=ManifestStoreConfig(url="ssh://git@example.org/manifests"),
        image="backstay:1",
    )
    assert MoverSettings.of(config) == MoverSettings()
    more = Resources(limits={"memory": "2Gi"})
    config = replace(config, image_pull_policy="Always", movers=JobSettings(more))
    settings = MoverSettings.of(config)
    made = moverjob.make_job(task(), settings, suspend=True)
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"limits": {"memory": "2Gi"}}
    assert container["imagePullPolicy"] == "Always"
