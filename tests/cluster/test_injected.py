"""What the servers around a run do wrong, made by proxies: retried, or told with its reason.

Never is an absence that was not proven taken for a deletion (I2), and never is a backup claimed
that is not there. Each test ends with a Completed run as the newest.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.model.run import Outcome
from tests.rig.gate import Gate
from tests.rig.proxies import ApiProxy, Cut, Lose, Reset, S3Proxy, Slow, SshProxy
from tests.rig.stage import Stage, faults
from tests.rig.stage.runs import Run, run_again

EXTRA = ("configmap", "service", "role.rbac.authorization.k8s.io")
"""Kinds of which the namespace gets one more object, called extra."""


@pytest.fixture(autouse=True)
def good(gated_stage: Stage) -> Iterator[Run]:
    """Return the newest run, which is good; a test leaves one behind."""
    newest = Run(gated_stage)
    if newest.record.outcome is not Outcome.COMPLETED:  # the test before this one failed
        newest = run_again(gated_stage)
    yield newest
    assert Run(gated_stage).record.outcome is Outcome.COMPLETED


@contextlib.contextmanager
def paged(proxy: ApiProxy, size: int) -> Iterator[None]:
    """Lists come in pages of so many objects."""
    proxy.page_size = size
    try:
        yield
    finally:
        proxy.page_size = 0


def extra_objects() -> str:
    """One of each kind of EXTRA, as a List."""
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}},
        {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}},
        {**rbac, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ]
    for each in made:
        each["metadata"] = {"name": "extra", "namespace": "shop"}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": made})


def extra_paths() -> set[str]:
    """Where they lie in the tree."""
    return {f"shop/{kind}/extra.yaml" for kind in EXTRA}


# -- the API server ------------------------------------------------------------------------------


def test_a_busy_api_server_costs_time_and_nothing_else(
    gated_stage: Stage, api_proxy: ApiProxy
) -> None:
    before = run_again(gated_stage)
    api_proxy.forget()
    with contextlib.ExitStack() as broken:
        broken.enter_context(paged(api_proxy, 1))
        rules = [
            broken.enter_context(api_proxy.rule("GET", target, does, agent="backstay"))
            for target, does in (
                (r"/shop/configmaps\?.*continue=", api_proxy.status(410)),
                (r"/shop/services\?.*continue=", api_proxy.status(429, retry_after=1)),
                (r"/shop/secrets\?limit", api_proxy.status(500)),
                (r"/shop/roles\?limit", Cut(after=20)),
                (r"/shop/statefulsets\?limit", Reset()),
                (r"/shop/deployments\?limit", Slow(1)),
            )
        ]
        after = run_again(gated_stage)
    assert [rule.hits for rule in rules] == [1] * 6
    assert after.record.outcome is Outcome.COMPLETED
    assert after.record.gaps == ()
    assert after.changed_since(before) == ["_run.yaml"]  # not one object less
    # After 410 the list began again, from its first page.
    lists = api_proxy.seen("GET", r"/shop/configmaps\?limit")
    answers = [seen.status for seen in lists]
    assert answers.count(410) == 1
    assert "continue=" not in lists[answers.index(410) + 1].target


def test_nothing_below_a_gap_is_deleted(gated_stage: Stage, api_proxy: ApiProxy, good: Run) -> None:
    gated_stage.kubectl("apply", "-f", "-", stdin=extra_objects())
    assert extra_paths() <= set(run_again(gated_stage).files())
    names = [f"{kind}/extra" for kind in EXTRA]
    gated_stage.kubectl("-n", "shop", "delete", *names, "--timeout=60s")
    with (
        paged(api_proxy, 1),
        api_proxy.rule("GET", r"/shop/services\?limit", api_proxy.status(403), times=0),
        api_proxy.rule("GET", r"/shop/configmaps\?.*continue=", api_proxy.status(410), times=0),
        api_proxy.rule("GET", r"/shop/roles\?limit", Cut(after=20), times=0),
    ):
        partial = run_again(gated_stage, code=3)
    assert partial.record.outcome is Outcome.PARTIALLY_FAILED
    gaps = {gap.plural: gap.reason for gap in partial.record.gaps}
    assert sorted(gaps) == ["configmaps", "roles", "services"]
    assert extra_paths() <= set(partial.files())
    (part,) = partial.record.namespaces
    assert part.objects.deleted == 0
    assert all(any(plural in reason for reason in part.reasons) for plural in gaps), part.reasons

    after = run_again(gated_stage)
    assert not extra_paths() & set(after.files())
    assert set(after.files()) == set(good.files())


def test_a_laptop_by_way_of_the_proxy_sees_the_same(
    gated_stage: Stage, api_proxy: ApiProxy, good: Run
) -> None:
    direct = gated_stage.backstay("plan").stdout
    by = ("--kubeconfig", str(api_proxy.kubeconfig(gated_stage.cluster)))
    with (
        api_proxy.rule("GET", r"/api/v1/namespaces\?", Reset(), agent="backstay") as rule,
        api_proxy.rule("GET", r"/cronjobs", api_proxy.status(429), agent="backstay") as busy,
    ):
        assert gated_stage.backstay("plan", *by).stdout == direct
    assert (rule.hits, busy.hits) == (1, 1)


# -- the storage ---------------------------------------------------------------------------------


def test_a_storage_that_stumbles_is_asked_again(gated_stage: Stage, s3_proxy: S3Proxy) -> None:
    with contextlib.ExitStack() as broken:
        rules = [
            broken.enter_context(s3_proxy.rule(method, target, does))
            for method, target, does in (
                ("PUT", "/demo/_cluster/data/", s3_proxy.error(503)),
                ("PUT", "/demo/_cluster/snapshots/", s3_proxy.error(500)),
                ("PUT", "/demo/shop/index/", s3_proxy.error(503)),
                ("PUT", "/demo/shop/snapshots/", s3_proxy.error(500)),
                ("PUT", "/demo/shop/locks/", Reset()),
                ("GET", "/demo/shop/config", Slow(1)),
                ("GET", "/demo/shop/snapshots/", Cut(after=10)),
            )
        ]
        marker = f"echo {base64.b64encode(os.urandom(30)).decode()} > /files/new; sync"
        gated_stage.kubectl("-n", "shop", "exec", "deploy/web", "--", "sh", "-c", marker)
        gated_stage.kubectl("-n", "shop", "annotate", "secret", "db", "--overwrite", f"x={marker}")
        after = run_again(gated_stage)
    assert {rule.target.pattern: rule.hits for rule in rules if not rule.hits} == {}
    assert after.record.outcome is Outcome.COMPLETED


def test_an_object_that_the_storage_lost_is_noticed(
    gated_stage: Stage, s3_proxy: S3Proxy, good: Run
) -> None:
    with s3_proxy.rule("PUT", "/demo/shop/snapshots/", Lose()) as rule:
        partial = run_again(gated_stage, code=3)
    assert rule.hits == 1
    assert partial.record.outcome is Outcome.PARTIALLY_FAILED
    (failed,) = [v for v in partial.volumes().values() if v.outcome is Outcome.FAILED]
    assert "is not proven: restic does not list it" in failed.reason
    assert failed.snapshot is None
    (part,) = partial.record.namespaces
    assert any(failed.claim in reason for reason in part.reasons)

    assert run_again(gated_stage).volumes()[failed.claim].snapshot


def test_a_storage_that_refuses_the_secrets_is_a_failed_run(
    gated_stage: Stage, s3_proxy: S3Proxy, good: Run
) -> None:
    with s3_proxy.rule("PUT", "/demo/_cluster/", s3_proxy.error(403), times=0) as rule:
        failed = run_again(gated_stage, code=1)
    assert rule.hits > 0
    assert failed.record.outcome is Outcome.FAILED
    assert failed.changed_since(good) == ["_run.yaml"]
    assert any("Access Denied" in reason for reason in failed.record.namespaces[0].reasons)
    assert run_again(gated_stage).record.outcome is Outcome.COMPLETED


# -- the Git server ------------------------------------------------------------------------------


def test_a_push_that_is_cut_and_refused_is_pushed_once_when_it_can_be(
    gated_stage: Stage, gate: Gate, ssh_proxy: SshProxy, good: Run
) -> None:
    noise = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "noise", "namespace": "shop"},
        "data": {"noise": base64.b64encode(os.urandom(150_000)).decode()},
    }
    gated_stage.kubectl("create", "-f", "-", stdin=json.dumps(noise))
    try:
        with gate.held("git", "push") as first, gate.held("git", "push", nth=2) as second:
            started = faults.start_run(gated_stage)
            first.wait(400)
            with ssh_proxy.cut(50_000, times=1) as cut:  # in the middle of the pack
                first.release()
                second.wait(400)
                assert cut.cuts == 1
            assert Run(gated_stage).commit == good.commit
            with ssh_proxy.refused():
                second.release()
                started.wait_for("trying again", 2)
        with ssh_proxy.slow(200_000):
            assert started.finish().code == 0
        after = Run(gated_stage)
        assert after.history()[1] == good.commit
        assert after.record.name == started.run_id
        assert "shop/configmap/noise.yaml" in after.files()
    finally:
        gated_stage.kubectl("-n", "shop", "delete", "configmap", "noise")
