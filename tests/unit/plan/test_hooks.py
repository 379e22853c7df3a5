"""Which pods a policy's hooks run in, in which order, and the reason for each where none runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.hooks import Hook, HookCommand
from reconciler.model.policy import BackupPolicy
from reconciler.plan.hooks import MOST_PODS, Effect, HookPlan, HookTarget, NotHooked, plan_hooks
from tests.unit.policy.test_model import POLICY

SYNC = HookCommand(("sync",))
DB = Hook(name="quiesce", match_labels={"app": "db"}, container="db", pre=SYNC, post=SYNC)
CACHE = Hook(name="flush", match_labels={"app": "cache"}, pre=SYNC)
OWN = "backstay-system"
ANYWHERE = (Grant(admin=True, hooks=("*",)),)


def pod(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    phase: str = "Running",
    containers: Sequence[str] = ("db", "sidecar"),
    state: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A pod as the API server gives it; its containers are in one ``state``."""
    running = {"running": {"startedAt": "2026-11-22T00:00:00Z"}}
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"app": "db"} if labels is None else dict(labels),
            **metadata,
        },
        "spec": {"containers": [{"name": one} for one in containers]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": one, "state": running if state is None else state} for one in containers
            ],
        },
    }


def planned(
    pods: Mapping[str, Sequence[Mapping[str, Any]]],
    *hooks: Hook,
    within: tuple[str, ...] = ("*",),
    grants: Sequence[Grant] = ANYWHERE,
    source: str = "policies/shop.yaml#0",
) -> HookPlan:
    """The plan of a policy with these hooks, by default one that quiesces a database."""
    policy: BackupPolicy = replace(POLICY, hooks=hooks or (DB,), hooks_within=within)
    return plan_hooks(policy, pods, grants=grants, source=source, own_namespace=OWN)


def where(targets: Sequence[HookTarget]) -> list[str]:
    """Hook, pod and container of each, in order."""
    return [f"{one.hook.name} {one.namespace}/{one.pod}/{one.container}" for one in targets]


def why(found: Sequence[NotHooked]) -> list[str]:
    """What is said, with its effect, in order."""
    return [f"{one.namespace}/{one.pod} {one.effect}: {one.why}" for one in found]


def test_post_commands_run_in_the_reverse_of_the_order_of_the_pre_commands() -> None:
    cache = pod("cache-0", labels={"app": "cache"}, containers=["redis"])
    plan = planned({"shop": [pod("db-1"), cache, pod("db-0")]}, replace(CACHE, post=SYNC), DB)
    shop = plan.namespaces["shop"]
    assert where(shop.pre) == [
        "flush shop/cache-0/redis",
        "quiesce shop/db-0/db",
        "quiesce shop/db-1/db",
    ]
    assert where(shop.post) == where(shop.pre)[::-1]
    assert not shop.not_hooked
    assert plan.targets[0].uid == "uid-cache-0"


def test_a_hook_with_one_command_stands_on_that_side_only() -> None:
    after = replace(DB, name="after", pre=None)
    cache = pod("cache-0", labels={"app": "cache"})
    shop = planned({"shop": [pod("db-0"), cache]}, CACHE, after).namespaces["shop"]
    assert where(shop.pre) == ["flush shop/cache-0/db"]
    assert where(shop.post) == ["after shop/db-0/db"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod("p", phase="Succeeded"), "none: it has ended (Succeeded)"),
        (pod("p", phase="Failed"), "none: it has ended (Failed)"),
        (pod("p", phase="Pending"), "partial: it is Pending, not Running"),
        (pod("p", phase="Unknown"), "failed: it is Unknown, not Running"),
        (pod("p", deletionTimestamp="2026-11-22T00:00:00Z"), "failed: it is being deleted"),
        (pod("p", containers=["a", "b"]), "failed: it has no container db; it has a, b"),
        (
            pod("p", state={"waiting": {"reason": "CrashLoopBackOff"}}),
            "partial: its container db is not running: CrashLoopBackOff",
        ),
        (pod("p", state={}), "partial: its container db is not running"),
        (pod("p", state={"terminated": {}}), "partial: its container db is not running"),
    ],
)
def test_a_pod_in_which_nothing_can_run_has_its_reason(found: dict[str, Any], reason: str) -> None:
    shop = planned({"shop": [found, pod("z")]}).namespaces["shop"]
    assert why(shop.not_hooked) == [f"shop/p {reason}"]
    assert where(shop.targets) == ["quiesce shop/z/db"]


def test_pods_without_all_the_labels_and_our_own_are_nothing_to_a_hook() -> None:
    ours = pod("mover", labels={"app": "db", "backstay.dev/component": "mover"})
    both = replace(DB, match_labels={"app": "db", "tier": "main"})
    assert not planned({"shop": [ours, pod("z")]}, both).targets
    assert where(planned({"shop": [ours, pod("z")]}).targets) == ["quiesce shop/z/db"]


def test_a_hook_without_labels_matches_nothing() -> None:
    assert not planned({"shop": [pod("db-0")]}, replace(DB, match_labels={})).targets


@pytest.mark.parametrize(
    ("annotation", "container"), [("main", "main"), ("gone", "proxy"), ("", "proxy")]
)
def test_without_a_container_it_is_the_one_that_kubectl_takes(
    annotation: str, container: str
) -> None:
    found = pod(
        "db-0",
        containers=["proxy", "main"],
        annotations={"kubectl.kubernetes.io/default-container": annotation},
    )
    hook = replace(DB, container=None)
    assert where(planned({"shop": [found]}, hook).targets) == [f"quiesce shop/db-0/{container}"]


def test_a_sidecar_among_the_init_containers_can_be_hooked_and_others_can_not() -> None:
    found = pod("db-0", containers=["db"])
    found["spec"]["initContainers"] = [{"name": "setup"}, {"name": "s", "restartPolicy": "Always"}]
    found["status"]["initContainerStatuses"] = [{"name": "s", "state": {"running": {}}}]
    assert where(planned({"shop": [found]}, replace(DB, container="s")).targets) == [
        "quiesce shop/db-0/s"
    ]
    plan = planned({"shop": [found]}, replace(DB, container="setup"))
    assert why(plan.not_hooked) == ["shop/db-0 failed: it has no container setup; it has db, s"]


def test_a_hook_that_no_pod_matches_makes_every_namespace_partially_failed() -> None:
    plan = planned({"b": [pod("x", labels={})], "a": []})
    reason = "partial: no pod to run it in has the labels app=db"
    assert why(plan.not_hooked) == [f"a/ {reason}", f"b/ {reason}"]


def test_pods_that_have_all_ended_do_not_count_as_a_match() -> None:
    plan = planned({"shop": [pod("job", phase="Succeeded")]})
    assert why(plan.not_hooked) == [
        "shop/job none: it has ended (Succeeded)",
        "shop/ partial: no pod to run it in has the labels app=db",
    ]


def test_a_namespace_without_such_a_pod_is_well_where_another_one_has_it() -> None:
    plan = planned({"a": [pod("db-0")], "b": []})
    assert why(plan.not_hooked) == ["b/ none: no pod to run it in has the labels app=db"]


def test_once_is_one_pod_for_the_whole_policy_before_all_others() -> None:
    once = replace(DB, name="primary", once=True)
    pods = {"b": [pod("db-0")], "a": [pod("db-1"), pod("db-0", phase="Pending")]}
    plan = planned(pods, DB, once)
    assert where(plan.once) == ["primary a/db-1/db"]
    assert where(plan.targets) == [
        "primary a/db-1/db",
        "quiesce a/db-1/db",
        "quiesce b/db-0/db",
    ]
    assert [line for line in why(plan.not_hooked) if "once" in line] == [
        "b/db-0 none: it runs once, in pod a/db-1"
    ]
    effects = {one.effect for one in plan.not_hooked if one.hook is once}
    assert effects == {Effect.NONE}


@pytest.mark.parametrize(
    ("found", "effect"),
    [
        ({"phase": "Pending"}, "partial"),
        ({"deletionTimestamp": "2026-11-22T00:00:00Z"}, "failed"),
        ({"containers": ("web",)}, "failed"),
    ],
)
def test_once_that_can_not_run_is_so_for_every_namespace(
    found: dict[str, Any], effect: str
) -> None:
    pods = {"a": [], "b": [pod("db-0", **found)], "c": [pod("old", phase="Succeeded")]}
    plan = planned(pods, replace(DB, once=True))
    assert plan.once == ()
    effects = {
        name: {str(one.effect) for one in part.not_hooked} - {"none"}
        for name, part in plan.namespaces.items()
    }
    assert effects == {"a": {effect}, "b": {effect}, "c": {effect}}
    assert "could not in b/db-0: it " in plan.namespaces["a"].not_hooked[-1].why


def test_once_with_pods_in_several_namespaces_is_told() -> None:
    once = replace(DB, once=True)
    pods = {name: [pod("db-0")] for name in ("a", "b", "c")}
    (told,) = planned(pods, once).drawn
    assert told.startswith("hook quiesce runs once, in pod a/db-0: the first by name, though b, c")
    assert planned({"a": [pod("db-0"), pod("db-1")], "b": []}, once).drawn == ()
    assert planned(pods, DB).drawn == ()


def test_a_hook_of_more_pods_than_are_quiesced_one_by_one_runs_in_none() -> None:
    pods = [pod(f"db-{number:02}") for number in range(MOST_PODS)]
    ended = [pod(f"old-{number:02}", phase="Succeeded") for number in range(9)]
    assert len(planned({"shop": [*pods, *ended]}).targets) == MOST_PODS
    plan = planned({"shop": [*pods, pod("db-x")], "small": [pod("db-0")]})
    assert where(plan.targets) == ["quiesce small/db-0/db"]
    assert why(plan.not_hooked) == [
        "shop/ failed: 51 pods here have its labels; it runs in 50 at most, or once"
    ]
    assert len(planned({"shop": [*pods, pod("db-x")]}, replace(DB, once=True)).once) == 1


def test_once_in_the_only_pod_there_is_leaves_nothing_to_tell() -> None:
    plan = planned({"shop": [pod("db-0")]}, replace(DB, once=True))
    assert where(plan.once) == ["quiesce shop/db-0/db"]
    assert not plan.namespaces["shop"].targets
    assert not plan.not_hooked


@pytest.mark.parametrize(
    ("namespace", "within", "grants", "reason"),
    [
        (OWN, ("*",), ANYWHERE, "it is Backstay's own namespace, where no hook ever runs"),
        (OWN, (OWN,), (Grant(hooks=(OWN,)),), "it is Backstay's own namespace"),
        ("kube-system", ("*",), ANYWHERE, "not granted here: Config grants them in *"),
        ("shop", (), ANYWHERE, "not granted here: Config grants them nowhere"),
        ("shop", ("*",), EVERYTHING, "not granted here"),
        ("shop", ("shop",), (Grant(hooks=("web",)),), "Config grants them in web"),
        ("shop", ("web",), (Grant(hooks=("shop",)),), "Config grants them in web"),
        ("shop", ("*",), (Grant(path="teams", hooks=("*",)),), "no grant is for folder policies"),
    ],
)
def test_nowhere_but_where_both_the_grant_of_then_and_of_today_allow_it(
    namespace: str, within: tuple[str, ...], grants: Sequence[Grant], reason: str
) -> None:
    plan = planned({namespace: [pod("db-0"), pod("db-1")]}, within=within, grants=grants)
    assert not plan.targets
    (one,) = plan.not_hooked
    assert (one.pod, one.effect) == ("", Effect.FAILED)
    assert reason in one.why


def test_kube_namespaces_where_a_grant_speaks_of_them() -> None:
    grants = (Grant(hooks=("kube-*",)),)
    assert planned({"kube-dns": [pod("db-0")]}, within=("kube-*",), grants=grants).targets


def test_a_policy_that_no_file_brought_has_the_limit_it_was_compiled_with() -> None:
    pods = {"shop": [pod("db-0")], "web": [pod("db-0")]}
    plan = planned(pods, within=("shop",), grants=EVERYTHING, source="")
    assert where(plan.targets) == ["quiesce shop/db-0/db"]


def test_a_namespace_that_the_grant_does_not_give_is_no_matter_without_a_matching_pod() -> None:
    plan = planned({"shop": [pod("db-0")], "web": []}, within=("shop",))
    assert [one.effect for one in plan.not_hooked] == [Effect.NONE]


def test_the_order_of_namespaces_and_pods_never_matters() -> None:
    pods = {"b": [pod("2"), pod("1")], "a": [pod("3", phase="Pending"), pod("4")]}
    turned = {name: found[::-1] for name, found in reversed(pods.items())}
    hooks = (DB, replace(DB, name="again", once=True), CACHE)
    assert planned(pods, *hooks) == planned(turned, *hooks)
    assert list(planned(turned, *hooks).namespaces) == ["a", "b"]


PHASES = ("Running", "Pending", "Succeeded", "Failed", "Unknown")


@pytest.mark.parametrize("once", [False, True])
def test_i8_every_pod_that_matches_is_hooked_or_has_a_reason(once: bool) -> None:
    found = {
        space: [
            pod(
                f"{phase}-{of}{since}".lower(),
                phase=phase,
                labels={"app": of},
                deletionTimestamp=since,
            )
            for phase in PHASES
            for since in ("", "-2026")
            for of in ("db", "web")
        ]
        for space in ("a", "b", "kube-system")
    }
    hooks = (replace(DB, once=once), replace(DB, name="second"))
    plan = planned(found, *hooks, within=("*",))
    for hook in hooks:
        hooked = [(one.namespace, one.pod) for one in plan.targets if one.hook is hook]
        told = [(one.namespace, one.pod) for one in plan.not_hooked if one.hook is hook]
        assert len(set(hooked + told)) == len(hooked + told)
        matching = {
            (space, raw["metadata"]["name"])
            for space, pods in found.items()
            for raw in pods
            if raw["metadata"]["labels"] == hook.match_labels and space != "kube-system"
        }
        assert {*hooked, *told} == matching | {("kube-system", "")}
        assert len(hooked) == (1 if hook.once else 2)
    assert all(one.why for one in plan.not_hooked)
