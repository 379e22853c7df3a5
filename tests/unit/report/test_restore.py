"""What a person reads before saying yes to a restore."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.model.objects import ObjectRef
from reconciler.model.restore import FillStep, Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.report.restore import plan_document, render_plan
from tests.conftest import Golden


def step(
    kind: str, name: str, action: RestoreAction, why: str, *, differs: bool = False
) -> RestoreStep:
    ref = ObjectRef(group="", kind=kind, namespace="shop", name=name)
    return RestoreStep(
        path=f"shop/{kind.lower()}/{name}.yaml",
        ref=ref,
        resource=None,
        phase=Phase.CONFIGURATION,
        action=action,
        why=why,
        differs=differs,
        manifest={"data": {"password": "never shown"}},
    )


def fill(claim: str, action: RestoreAction, why: str, size: int = 0) -> FillStep:
    snapshot = "" if action is RestoreAction.SKIP else "4bba301e" * 8
    return FillStep(
        namespace="shop", claim=claim, action=action, why=why, size=size, files=3, snapshot=snapshot
    )


PLAN = RestorePlan(
    policy="shop",
    run_id="shop-20261121-041703-7c1e9",
    commit="3f0a9c1d" * 5,
    outcome="PartiallyFailed",
    started="2026-11-21T04:17:03Z",
    copied="2026-11-21T04:18:22Z",
    steps=(
        step("ConfigMap", "settings", RestoreAction.KEEP, "exists and differs", differs=True),
        step("ConfigMap", "equal", RestoreAction.KEEP, "exists and is equal"),
        step("Secret", "db", RestoreAction.CREATE, "it does not exist"),
        step("Pod", "import", RestoreAction.SKIP, "it had ended (Succeeded), and would run again"),
        step("PersistentVolume", "pvc-1", RestoreAction.SKIP, "its claim gets a new volume"),
        step("PersistentVolume", "pvc-2", RestoreAction.SKIP, "its claim gets a new volume"),
    ),
    fills=(
        fill("files", RestoreAction.CREATE, "snapshot 4bba301e", 1_288_490_188),
        fill("there", RestoreAction.KEEP, "the claim exists; its data is not touched"),
        fill("lost", RestoreAction.SKIP, "no data in this recovery point: no space"),
    ),
    warnings=("volume lost: no space",),
)


def test_the_plan_in_text(golden: Golden) -> None:
    golden("report/restore-plan.txt", render_plan(PLAN))


def test_the_plan_in_json(golden: Golden) -> None:
    text = json.dumps(plan_document(PLAN), indent=2) + "\n"
    golden("report/restore-plan.json", text)
    assert "never shown" not in text + render_plan(PLAN)


def test_a_copy_in_text_and_in_json(golden: Golden) -> None:
    tracking = "not Helm's any more: without app.kubernetes.io/managed-by"
    port = "node port 31080 is taken by shop/web; it gets another one"
    plan = replace(
        PLAN,
        mapping={"shop": "shop2"},
        steps=(
            replace(PLAN.steps[2], source="shop/secret/db.yaml", changes=(tracking,)),
            replace(
                step("Service", "web", RestoreAction.CREATE, "it does not exist"),
                changes=(port, tracking),
                warnings=("spec.x: still db.shop.svc",),
            ),
        ),
        fills=(replace(PLAN.fills[0], namespace="shop2", source="shop"),),
        warnings=(),
    )
    golden("report/restore-copy.txt", render_plan(plan))
    golden("report/restore-copy.json", json.dumps(plan_document(plan), indent=2) + "\n")


def differing(*kinds: str, source: str = "") -> RestorePlan:
    steps = [
        replace(
            step(kind, "x", RestoreAction.KEEP, "exists and differs", differs=True), source=source
        )
        for kind in kinds
    ]
    return replace(PLAN, steps=tuple(steps), fills=())


def test_the_way_on_from_what_differs_is_told_once() -> None:
    text = render_plan(differing("Secret", "ConfigMap", "Service"))
    assert text.count("git show 3f0a9c1d3f0a:shop/configmap/x.yaml | kubectl diff -f -") == 1
    assert text.count("kubectl delete it") == 1
    assert f"--at {PLAN.run_id}" in text
    assert "by hand" not in text


def test_of_a_secret_git_has_nothing_to_compare_and_a_copy_stands_elsewhere() -> None:
    for plan in (differing("Secret"), differing("Service", source="shop/service/x.yaml")):
        text = render_plan(plan)
        assert "git show" not in text
        assert "kubectl delete it" in text


def test_nobody_is_told_to_delete_what_holds_other_things() -> None:
    for kind in ("Namespace", "PersistentVolumeClaim"):
        text = render_plan(differing(kind))
        assert "kubectl delete" not in text
        assert "by hand" in text
    assert "differs, in a clone" not in render_plan(replace(PLAN, steps=PLAN.steps[1:]))
