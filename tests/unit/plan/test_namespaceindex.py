"""The namespaces that an index offers are all that a selector could select or pass over."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.cluster import Namespace
from reconciler.model.policy import NamespaceSelector
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import select_namespaces

SYSTEM = "backstay-system"
_names = st.sampled_from(
    ["shop", "shop-a", "shop-b", "shopping", "a", "ab", "kube-system", "kube-x", SYSTEM]
)
_labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
_globs = st.sampled_from(
    ["*", "shop", "shop-*", "sho?", "[as]*", "kube-*", "gone", "a", "?", SYSTEM, "backstay-*"]
)
namespaces = st.lists(
    st.builds(Namespace, name=_names, labels=_labels, terminating=st.booleans()),
    unique_by=lambda found: found.name,
)
selectors = st.builds(
    NamespaceSelector,
    names=st.lists(_globs, max_size=3).map(tuple),
    match_labels=_labels,
    exclude=st.lists(_globs, max_size=2).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(found=namespaces, selector=selectors)
def test_a_selection_from_candidates_is_the_same(
    found: list[Namespace], selector: NamespaceSelector
) -> None:
    candidates = NamespaceIndex(found).candidates(selector)
    assert candidates == sorted(candidates, key=lambda one: one.name)
    assert select_namespaces(selector, candidates, own_namespace=SYSTEM) == select_namespaces(
        selector, found, own_namespace=SYSTEM
    )


def test_few_namespaces_are_looked_at() -> None:
    found = [
        Namespace(name=f"team-{n}", labels={"team": f"t{n}", "env": "prod"}) for n in range(900)
    ]
    index = NamespaceIndex(found)
    for selector in (
        NamespaceSelector(names=("team-7",)),
        NamespaceSelector(match_labels={"env": "prod", "team": "t7"}),
        NamespaceSelector(names=("team-*",), match_labels={"team": "t7"}),
        NamespaceSelector(names=("team-7", "team-[7]")),
    ):
        assert [one.name for one in index.candidates(selector)] == ["team-7"]
    assert len(index.candidates(NamespaceSelector(names=("team-1*",)))) == 111
