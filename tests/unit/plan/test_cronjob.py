"""A policy as CronJob and ConfigMap."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from reconciler.model.config import JobSettings, Resources
from reconciler.model.policy import compiled_digest, compiled_text, load_compiled
from reconciler.plan.cronjob import Place, WantedPolicy, make_config_map, make_cron_job
from tests.conftest import Golden
from tests.unit.plan.schedules_world import CONFIG, MAIN, PLACE, REV1, policy


def wanted(name: str = "shop", cron: str = "17 2 * * *", **more: Any) -> WantedPolicy:
    value = policy(name, cron, **more)
    text = compiled_text(value, [MAIN])
    return WantedPolicy(
        policy=value,
        text=text,
        digest=compiled_digest(text),
        revision=REV1,
        source="policies/shop.yaml#0",
    )


def test_manifests(golden: Golden) -> None:
    # What runs in people's clusters: a change here changes every CronJob at the next upgrade.
    for name, body in (
        ("cronjob.json", make_cron_job(wanted(), CONFIG, PLACE)),
        ("configmap.json", make_config_map(wanted(), PLACE)),
    ):
        golden(f"plan/{name}", json.dumps(body, indent=2, sort_keys=True) + "\n")


def test_config_map_is_what_a_run_reads() -> None:
    body = make_config_map(wanted(), PLACE)
    assert body["immutable"] is True
    assert load_compiled(body["data"]["policy.json"]).policy == policy("shop")


def test_deadline_is_half_the_shortest_interval() -> None:
    def deadline(cron: str) -> int:
        return int(
            make_cron_job(wanted(cron=cron), CONFIG, PLACE)["spec"]["startingDeadlineSeconds"]
        )

    assert deadline("17 2 * * *") == 12 * 3600
    assert deadline("* * * * *") == 30  # below 10 a CronJob would never start


def test_a_hash_becomes_a_number_of_the_cluster_s() -> None:
    def schedule(cluster: str) -> str:
        config = replace(CONFIG, cluster=replace(CONFIG.cluster, name=cluster))
        spec = make_cron_job(wanted(cron="H H * * *"), config, PLACE)["spec"]
        assert spec["startingDeadlineSeconds"] == 12 * 3600
        return str(spec["schedule"])

    assert schedule("prod-eu") == "48 12 * * *"
    assert schedule("prod-us") != schedule("prod-eu")


def test_long_names_are_cut_and_kept_in_full() -> None:
    name = "a-very-long-policy-name-that-somebody-generated-from-a-path-in-git"
    body = make_cron_job(wanted(name), CONFIG, PLACE)
    assert len(body["metadata"]["name"]) <= 52
    assert body["metadata"]["annotations"]["backstay.dev/policy"] == name
    assert all(len(value) <= 63 for value in body["metadata"]["labels"].values())


def test_config_reaches_the_pod() -> None:
    runs = JobSettings(Resources(limits={"memory": "3Gi"}))
    config = replace(CONFIG, image="other:2", image_pull_policy="Never", runs=runs)
    place = Place(namespace="backups", config_map="installation")
    body = make_cron_job(wanted(suspend=True), config, place)
    pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("other:2", "Never")
    assert container["resources"] == {"limits": {"memory": "3Gi"}}
    assert {"name": "config", "configMap": {"name": "installation"}} in pod["volumes"]
    assert body["metadata"]["namespace"] == "backups"
    assert body["spec"]["suspend"] is True


def test_applied_tells_what_is_no_longer_wanted() -> None:
    def applied(config: Any) -> str:
        annotations = make_cron_job(wanted(), config, PLACE)["metadata"]["annotations"]
        return str(annotations["backstay.dev/applied"])

    limited = replace(CONFIG, runs=JobSettings(Resources(limits={"cpu": "1", "memory": "1Gi"})))
    unlimited = replace(CONFIG, runs=JobSettings(Resources(limits={"memory": "1Gi"})))
    assert applied(CONFIG) == applied(CONFIG)
    assert applied(limited) != applied(unlimited)


def test_pod_meets_pod_security_restricted() -> None:
    pod = make_cron_job(wanted(), CONFIG, PLACE)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = pod["containers"][0]["securityContext"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {
        "configMap",
        "emptyDir",
    }
