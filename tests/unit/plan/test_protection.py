"""Coverage: each namespace, claim and template once, with the decision of a run and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.cluster import ClaimUser
from reconciler.model.inventory import ClaimTemplate, PointDigest, StorageClass
from reconciler.model.policy import ClusterScoped, ObjectSelector
from reconciler.model.protection import Cause, ProtectionLine, State, Unprotected
from reconciler.model.run import Outcome
from reconciler.plan.protection import narrow, protect, unprotected
from tests.unit.plan.protection_world import (
    NOW,
    claim,
    coverage,
    exemption,
    inventory,
    lines,
    point,
    policy,
    skipping,
    space,
)

DATA = claim("shop", "data")


def state(line: ProtectionLine) -> tuple[State, Cause | None, str]:
    """State, the cause that counts, and its sentence."""
    if line.reasons:
        return line.state, line.reasons[0].cause, line.reasons[0].why
    if line.waiver is not None:
        return line.state, None, line.waiver.reason
    return line.state, None, "; ".join(found.why for found in line.protectors)


def test_protected_by_a_policy_with_its_method() -> None:
    found = coverage((policy("shop", "shop"),), (), space("shop", DATA))
    (namespace,) = found["namespace shop"].protectors
    (data,) = found["claim shop/data"].protectors
    assert (namespace.policy, namespace.method, namespace.why) == ("shop", "", "named")
    assert (data.policy, data.method, data.why) == ("shop", "Direct", "copyMethod Direct")
    assert {line.state for line in found.values()} == {State.PROTECTED}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        (ObjectSelector(), ""),
        (ObjectSelector(cluster_scoped=ClusterScoped.ALL), ""),
        (ObjectSelector(exclude=("secret",)), "kinds secret (exclude)"),
        (
            ObjectSelector(exclude=("secret",), cluster_scoped=ClusterScoped.ALL),
            "kinds secret (exclude)",
        ),
        (ObjectSelector(include=("configmap",)), "kinds in namespaces other than configmap"),
        (ObjectSelector(match_labels={"tier": "gold"}), "objects without tier=gold"),
        (ObjectSelector(cluster_scoped=ClusterScoped.NONE), "cluster-scoped objects but"),
    ],
)
def test_a_policy_that_leaves_objects_out_protects_in_part(
    objects: ObjectSelector, words: str
) -> None:
    one = policy("shop", "shop")
    narrow = replace(one, selector=replace(one.selector, objects=objects))
    found = coverage((narrow,), (), space("shop", DATA))
    line = found["namespace shop"]
    assert (line.state, line.partial) == (State.PROTECTED, bool(words))
    assert "; ".join(line.protectors[0].left_out).startswith(words)
    assert not found["claim shop/data"].partial, "its data is copied all the same"
    both = coverage((narrow, policy("whole", "shop")), (), space("shop"))["namespace shop"]
    assert not both.partial


def test_two_policies_both_protect() -> None:
    found = coverage((policy("b", "shop"), policy("a", "*")), (), space("shop", DATA))
    assert [one.policy for one in found["claim shop/data"].protectors] == ["a", "b"]


@pytest.mark.parametrize(
    ("made", "cause", "why"),
    [
        (policy("p", "crm"), Cause.UNMATCHED, "no policy selects its namespace"),
        (
            policy("p", "*", exclude=("sh*",)),
            Cause.EXCLUDED,
            "policy p leaves its namespace out: excluded by sh*",
        ),
        (
            policy("p", "shop", suspend=True),
            Cause.SUSPENDED,
            "policy p would protect it and is suspended",
        ),
        (
            policy("p", "shop", rules=(skipping("da*", reason="rebuilt on start"),)),
            Cause.SKIPPED,
            "policy p skips it: rule 1: rebuilt on start",
        ),
    ],
)
def test_why_a_claim_is_unprotected(made: object, cause: Cause, why: str) -> None:
    found = coverage((made,), (), space("shop", DATA))  # type: ignore[arg-type]
    assert state(found["claim shop/data"]) == (State.UNPROTECTED, cause, why)


@pytest.mark.parametrize(
    ("fields", "users", "why"),
    [
        ({"volume_mode": "Block"}, {}, "it is a raw block volume, and Direct copies files"),
        ({"phase": "Lost"}, {}, "its volume is lost (phase Lost)"),
        (
            {"access_modes": ("ReadWriteOncePod",)},
            {"data": ClaimUser(pod="db-0", node="n")},
            "ReadWriteOncePod: pod db-0 holds it, no second pod can mount it",
        ),
    ],
)
def test_what_a_run_can_not_copy_is_unprotected(
    fields: dict[str, object], users: dict[str, ClaimUser], why: str
) -> None:
    ground = space("shop", claim("shop", "data", **fields), users=users)
    found = coverage((policy("shop", "shop"),), (), ground)
    assert state(found["claim shop/data"]) == (
        State.UNPROTECTED,
        Cause.IMPOSSIBLE,
        f"policy shop wants it and can't copy it: copyMethod Direct; {why}",
    )
    assert found["namespace shop"].state is State.PROTECTED


def test_direct_without_the_shared_key_is_unprotected() -> None:
    ground = inventory(space("shop", DATA))
    found = lines(protect([policy("shop", "shop")], [], ground, now=NOW, shared_key=False))
    assert found["claim shop/data"].reasons[0].cause is Cause.IMPOSSIBLE
    assert "sharedKeyInTenants" in found["claim shop/data"].reasons[0].why


def test_one_policy_that_protects_is_enough() -> None:
    policies = (
        policy("a", "shop", rules=(skipping("*"),)),
        policy("b", "shop", suspend=True),
        policy("c", "*"),
    )
    line = coverage(policies, (), space("shop", DATA))["claim shop/data"]
    assert [one.policy for one in line.protectors] == ["c"]
    assert line.reasons == ()


def test_every_reason_is_kept_the_strongest_first() -> None:
    policies = (
        policy("a", "*", exclude=("shop",)),
        policy("b", "shop", rules=(skipping("*"),)),
        policy("c", "shop", suspend=True),
    )
    line = coverage(policies, (), space("shop", DATA))["claim shop/data"]
    assert [(one.cause, one.policy) for one in line.reasons] == [
        (Cause.SUSPENDED, "c"),
        (Cause.SKIPPED, "b"),
        (Cause.EXCLUDED, "a"),
    ]


def test_a_claim_that_is_not_bound_is_judged_as_it_will_be() -> None:
    waiting = claim("shop", "data", phase="Pending")
    cache = claim("shop", "cache", phase="Pending")
    found = coverage(
        (policy("shop", "shop", rules=(skipping("cache"),)),), (), space("shop", waiting, cache)
    )
    line = found["claim shop/data"]
    assert (line.state, line.note) == (State.PROTECTED, "not bound yet: it holds no data")
    assert found["claim shop/cache"].reasons[0].cause is Cause.SKIPPED


def test_a_claim_that_a_restore_fills_is_unprotected() -> None:
    filling = claim("shop", "data", phase="Pending", restoring="shop-20261121-041703-7c1e9 x")
    line = coverage((policy("shop", "shop"),), (), space("shop", filling))["claim shop/data"]
    assert line.reasons[0].cause is Cause.IMPOSSIBLE
    assert line.note == ""


def test_a_template_counts_as_its_replicas_will() -> None:
    template = ClaimTemplate(workload="db", name="data", replicas=2, storage_class="standard")
    ground = space("shop", claim("shop", "data-db-0"), templates=(template,))
    title = "template shop/data of StatefulSet/db"

    def made(*rules: str) -> ProtectionLine:
        found = coverage((policy("shop", "shop", rules=(skipping(*rules),)),), (), ground)
        return found[title]

    assert made("other").state is State.PROTECTED
    assert [one.last for one in made("other").protectors] == [None]
    assert state(made("data-*")) == (
        State.UNPROTECTED,
        Cause.SKIPPED,
        "policy shop skips it: rule 1",
    )
    assert made("data-*").note == ""
    # The next replica, which nobody has started yet.
    assert made("data-db-2").note == "so it is for data-db-2"
    assert not made("other").never


def test_a_template_is_like_the_claims_that_it_made() -> None:
    template = ClaimTemplate(workload="db", name="data", replicas=1)
    title = "template shop/data of StatefulSet/db"
    block = space("shop", claim("shop", "data-db-0", volume_mode="Block"), templates=(template,))
    found = coverage((policy("shop", "shop"),), (), block)
    assert found[title].reasons[0].cause is Cause.IMPOSSIBLE
    single = ClaimTemplate(
        workload="db", name="data", replicas=1, access_modes=("ReadWriteOncePod",)
    )
    found = coverage((policy("shop", "shop"),), (), space("shop", templates=(single,)))
    assert "pod db-0 holds it" in found[title].reasons[0].why


def test_many_replicas_cost_no_more_than_a_few() -> None:
    template = ClaimTemplate(workload="db", name="data", replicas=10_000_000)
    ground = space("shop", templates=(template,))
    rules = (skipping("data-db-10000000"),)
    line = coverage((policy("shop", "shop", rules=rules),), (), ground)
    assert line["template shop/data of StatefulSet/db"].note == "so it is for data-db-10000000"


def test_the_default_storage_class_is_what_a_template_gets() -> None:
    template = ClaimTemplate(workload="db", name="data")
    made = policy("shop", "shop", rules=(skipping(storage_class=("slow",)),))
    title = "template shop/data of StatefulSet/db"
    slow = StorageClass(name="slow", provisioner="x", default=True)
    found = protect(
        [made], [], inventory(space("shop", templates=(template,)), classes=(slow,)), now=NOW
    )
    assert lines(found)[title].reasons[0].cause is Cause.SKIPPED
    assert found.notes == ()
    blind = protect([made], [], inventory(space("shop", templates=(template,))), now=NOW)
    assert lines(blind)[title].state is State.PROTECTED
    (note,) = blind.notes
    assert note == (
        "1 claim or template names no storage class, and the cluster's default is not known:"
        " rules by storageClass may decide otherwise"
    )
    # Nobody asks for a class: nothing is unknown.
    assert protect([policy("a", "shop")], [], inventory(space("shop")), now=NOW).notes == ()


def test_what_is_being_deleted_and_what_is_kubernetes_own_needs_no_exemption() -> None:
    found = coverage(
        (policy("all", "*"),),
        (),
        space("kube-system", claim("kube-system", "registry")),
        space("kube-prometheus"),
        space("backstay-system"),
        space("going", claim("going", "data"), terminating=True),
    )
    for title in (
        *("namespace kube-system", "namespace backstay-system"),
        *("namespace going", "claim going/data"),
    ):
        waiver = found[title].waiver
        assert waiver is not None
        assert (found[title].state, waiver.exemption) == (State.EXEMPT, "")
    # A claim holds data that somebody wrote, and an application may be called kube-anything.
    assert state(found["claim kube-system/registry"]) == (
        State.UNPROTECTED,
        Cause.UNMATCHED,
        "no policy selects its namespace (`*` leaves kube-system out: name it)",
    )
    assert found["namespace kube-prometheus"].state is State.UNPROTECTED
    named = coverage((policy("k", "kube-system"),), (), space("kube-system"))
    assert named["namespace kube-system"].state is State.PROTECTED


def test_the_last_recovery_point_is_the_newest_that_holds_it() -> None:
    ground = inventory(
        space("shop", DATA, claim("shop", "new")),
        points=(
            point("shop", 50, "data", outcome=Outcome.PARTIALLY_FAILED),
            point("shop", 26, "data"),
            point("old", 5, "data"),
            point("shop", 2, outcome=Outcome.FAILED),
        ),
    )
    found = lines(protect([policy("shop", "shop", rpo=24 * 3600)], [], ground, now=NOW))
    (data,) = found["claim shop/data"].protectors
    assert data.last is not None
    assert data.last.started == NOW - timedelta(hours=26)
    assert data.stale
    assert found["claim shop/data"].stale
    held = found["claim shop/data"].held
    assert held is not None
    assert held.policy == "old"
    (manifests,) = found["namespace shop"].protectors
    assert manifests.last == data.last
    assert found["claim shop/new"].never
    assert not found["claim shop/data"].never


@pytest.mark.parametrize(("rpo", "stale"), [(None, False), (7200, False), (7199, True)])
def test_stale_is_older_than_promised(rpo: int | None, stale: bool) -> None:
    ground = inventory(space("shop", DATA), points=(point("shop", 2, "data"),))
    found = lines(protect([policy("shop", "shop", rpo=rpo)], [], ground, now=NOW))
    assert found["claim shop/data"].stale is stale


@pytest.mark.parametrize(
    ("there", "first", "stale"),
    [
        (49, 30, True),  # in none of the known runs, and promised for longer than the RPO
        (2, 30, False),  # a new claim of an old policy
        (49, 2, False),  # an old claim of a new policy
        (None, 30, False),  # nobody knows how long it is there: `never` tells of it
    ],
)
def test_what_no_known_recovery_point_holds_is_stale_once_it_could_have_been_held(
    there: int | None, first: int, stale: bool
) -> None:
    created = None if there is None else NOW - timedelta(hours=there)
    ground = inventory(
        space("shop", replace(DATA, created=created)),
        points=(point("shop", first, "other"), point("shop", 1, "other")),
        older={"shop": 3},
    )
    wanted = [policy("shop", "shop", rpo=24 * 3600)]
    line = lines(protect(wanted, [], ground, now=NOW))["claim shop/data"]
    assert (line.stale, line.never) == (stale, True)
    wanted = [policy("shop", "shop")]
    assert not lines(protect(wanted, [], ground, now=NOW))["claim shop/data"].stale


def test_what_lost_its_policy_still_tells_of_its_recovery_points() -> None:
    ground = inventory(space("shop", DATA), points=(point("gone", 2, "data"),))
    line = lines(protect([], [], ground, now=NOW))["claim shop/data"]
    assert line.state is State.UNPROTECTED
    assert line.held is not None
    assert line.held.policy == "gone"


def test_a_renamed_policy_has_the_recovery_points_of_its_former_name() -> None:
    spaces = (space("shop", claim("shop", "data")),)
    heir = replace(policy("store", "shop"), renamed_from="shop")

    def judged(*points: PointDigest, older: Mapping[str, int] | None = None) -> ProtectionLine:
        known = inventory(*spaces, points=points, older=older)
        return lines(protect((heir,), (), known, now=NOW))["claim shop/data"]

    before = point("shop", 30, "data")
    line = judged(before)
    last = line.protectors[0].last
    assert last is not None
    assert not line.never
    assert (last.policy, last.run) == ("shop", before.run)
    # A run under the new name that lacks the claim does not hide what the old one held.
    assert not judged(before, point("store", 20)).never
    # What runs under the old name after its heir began is another policy's.
    assert judged(point("store", 20), point("shop", 10, "data")).never
    assert judged(older={"shop": 3}).protectors[0].older
    assert not judged(older={"mail": 3}).protectors[0].older


def test_a_shortened_history_is_not_taken_for_none() -> None:
    ground = inventory(space("shop", DATA), older={"shop": 3})
    line = lines(protect([policy("shop", "shop")], [], ground, now=NOW))["claim shop/data"]
    assert [one.older for one in line.protectors] == [True]
    assert line.never


def test_counts_and_a_narrower_look() -> None:
    found = protect(
        [policy("shop", "shop", rules=(skipping("data"),))],
        [exemption("gone", "nowhere"), exemption("crm", "crm")],
        inventory(space("shop", DATA), space("crm"), space("old", claim("old", "a"))),
        now=NOW,
    )
    assert unprotected(found) == Unprotected(namespaces=1, claims=2)
    assert str(unprotected(found)) == "1 namespace, 2 claims"
    assert str(Unprotected(templates=2)) == "2 claim templates"
    assert not Unprotected()
    assert str(Unprotected()) == "nothing"
    shop = narrow(found, ["sh*"])
    assert [line.namespace for line in shop.lines] == ["shop", "shop"]
    assert unprotected(shop) == Unprotected(claims=1)
    assert [one.id for one in found.findings] == ["exemption-unused"]
    assert shop.findings == ()
