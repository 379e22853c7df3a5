"""What is always so of coverage, whatever the cluster and the policies."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.inventory import ClaimTemplate, Inventory, NamespaceInventory
from reconciler.model.policy import BackupPolicy, Exemption
from reconciler.model.protection import Protection, ProtectionLine, State, Subject
from reconciler.plan.protection import protect
from tests.unit.plan.protection_world import (
    NOW,
    claim,
    exemption,
    inventory,
    policy,
    skipping,
    space,
)

NAMES = ("shop", "shop-two", "crm", "kube-system", "backstay-system")
GLOBS = (*NAMES, "*", "shop*", "kube-*", "nothing")
CLAIMS = ("data", "cache", "data-db-0")
WORTH = {State.UNPROTECTED: 0, State.EXEMPT: 1, State.PROTECTED: 2}

globs = st.lists(st.sampled_from(GLOBS), min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def spaces(draw: st.DrawFn, name: str) -> NamespaceInventory:
    """A namespace with some claims and perhaps a template."""
    phases = st.sampled_from(["Bound", "Pending", "Lost", ""])
    modes = st.sampled_from(["Filesystem", "Block"])
    names = draw(st.lists(st.sampled_from(CLAIMS), unique=True, max_size=3))
    template = ClaimTemplate(workload="db", name="data", replicas=draw(st.integers(0, 3)))
    return space(
        name,
        *(claim(name, one, phase=draw(phases), volume_mode=draw(modes)) for one in sorted(names)),
        templates=(template,) if draw(st.booleans()) else (),
        terminating=draw(st.booleans()),
    )


@st.composite
def clusters(draw: st.DrawFn) -> Inventory:
    """Some namespaces."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return inventory(*(draw(spaces(name)) for name in names))


@st.composite
def policies(draw: st.DrawFn, name: str) -> BackupPolicy:
    """Any policy of this name."""
    rules = draw(st.lists(st.sampled_from(["*", "data", "data-*", "cache"]), max_size=1))
    return policy(
        name,
        *draw(globs),
        exclude=draw(st.sampled_from([(), ("shop",), ("*-two",)])),
        rules=tuple(skipping(rule) for rule in rules),
        suspend=draw(st.booleans()),
    )


@st.composite
def exemptions(draw: st.DrawFn, name: str) -> Exemption:
    """Any exemption of this name, over or not."""
    return exemption(
        name,
        *draw(globs),
        claims=draw(st.sampled_from([(), ("data*",), ("cache",)])),
        expires=NOW + timedelta(days=draw(st.sampled_from([-1, 1, 100]))),
    )


some = st.tuples(policies("a"), policies("b"))
waived = st.lists(exemptions("e"), max_size=1)


def keys(found: Protection) -> list[tuple[Subject, str, str, str]]:
    return [(one.subject, one.namespace, one.name, one.workload) for one in found.lines]


@given(clusters(), some, waived)
def test_everything_has_one_line_and_each_line_its_reason(
    cluster: Inventory, made: tuple[BackupPolicy, ...], exempt: list[Exemption]
) -> None:
    found = protect(made, exempt, cluster, now=NOW)
    expected = [
        key
        for one in cluster.namespaces
        for key in (
            (Subject.NAMESPACE, one.namespace.name, "", ""),
            *((Subject.CLAIM, one.namespace.name, c.name, "") for c in one.claims),
            *(
                (Subject.TEMPLATE, one.namespace.name, t.name, f"StatefulSet/{t.workload}")
                for t in one.templates
            ),
        )
    ]
    assert keys(found) == expected
    for line in found.lines:
        assert _said(line) == [line.state]


def _said(line: ProtectionLine) -> list[State]:
    """The states of which a line holds the reason."""
    held = {
        State.PROTECTED: line.protectors,
        State.EXEMPT: line.waiver,
        State.UNPROTECTED: line.reasons,
    }
    return [state for state, reason in held.items() if reason]


@given(clusters(), some, policies("c"), waived)
def test_another_policy_makes_nothing_less_protected(
    cluster: Inventory,
    made: tuple[BackupPolicy, ...],
    another: BackupPolicy,
    exempt: list[Exemption],
) -> None:
    before = protect(made, exempt, cluster, now=NOW)
    after = protect([*made, another], exempt, cluster, now=NOW)
    for was, now in zip(before.lines, after.lines, strict=True):
        assert WORTH[now.state] >= WORTH[was.state]
        assert set(was.protectors) <= set(now.protectors)


@given(clusters(), some, exemptions("e"))
def test_an_exemption_never_touches_what_is_protected(
    cluster: Inventory, made: tuple[BackupPolicy, ...], exempt: Exemption
) -> None:
    before = protect(made, [], cluster, now=NOW)
    after = protect(made, [exempt], cluster, now=NOW)
    for was, now in zip(before.lines, after.lines, strict=True):
        assert WORTH[now.state] >= WORTH[was.state]
        assert was.protectors == now.protectors


@given(clusters(), some, st.lists(exemptions("e"), max_size=1), exemptions("f"))
def test_the_order_of_policies_and_exemptions_says_nothing(
    cluster: Inventory,
    made: tuple[BackupPolicy, ...],
    exempt: list[Exemption],
    another: Exemption,
) -> None:
    one = protect(made, [*exempt, another], cluster, now=NOW)
    assert one == protect([*reversed(made)], [another, *exempt], cluster, now=NOW)
