"""Whose grant a file has, and what a list of globs gives."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.grants import (
    EVERYTHING,
    Grant,
    covers,
    find_grant,
    limit_selector,
    may_meet,
    why_none,
)
from reconciler.model.policy import NamespaceSelector

ROOT = Grant(path="", admin=True)
TEAMS = Grant(path="teams", namespaces=("dev-*",))
TEAM_A = Grant(path="teams/a", namespaces=("a", "a-*"))
GRANTS = (TEAM_A, ROOT, TEAMS)


@pytest.mark.parametrize(
    ("file", "grant"),
    [
        ("shop.yaml", ROOT),
        ("team/shop.yaml", ROOT),
        ("teams/shop.yaml", TEAMS),
        ("teams/b/shop.yaml", TEAMS),
        ("teams/a/shop.yaml", TEAM_A),
        ("teams/a/deep/er/shop.yaml", TEAM_A),
        ("teams/ab/shop.yaml", TEAMS),
        ("teams-a/a/shop.yaml", ROOT),
    ],
)
def test_the_deepest_folder_decides_alone(file: str, grant: Grant) -> None:
    assert find_grant(GRANTS, file) == grant
    assert find_grant(tuple(reversed(GRANTS)), file) == grant


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("teams/../admin/shop.yaml", ". or .. has no grant"),
        ("teams/a/../b/shop.yaml", ". or .. has no grant"),
        ("./shop.yaml", ". or .. has no grant"),
        ("/teams/a/shop.yaml", "empty folder"),
        ("teams//a/shop.yaml", "empty folder"),
        ("Teams/a/shop.yaml", "folder Teams is not teams"),
        ("teams/A/shop.yaml", "folder A is not a"),
        ("teams/a./shop.yaml", "folder a. is not a"),
        ("teams/a /shop.yaml", "folder a  is not a"),
        ("teams/\uff41/shop.yaml", "folder \uff41 is not a"),
        ("teams/\u0430/shop.yaml", "has letters that may look alike"),
        ("te\u0430ms/a/shop.yaml", "has letters that may look alike"),
    ],
)
def test_what_only_looks_like_a_granted_folder_has_no_grant_at_all(file: str, why: str) -> None:
    assert why in why_none(GRANTS, file)
    assert find_grant(GRANTS, file) is None


def test_a_folder_that_is_granted_by_its_letters_is_no_twin_of_another() -> None:
    sizes = Grant(path="teams/gr\u00f6\u00dfe")
    capital = Grant(path="teams/A")
    known = (*GRANTS, sizes, capital)
    assert find_grant(known, "teams/gr\u00f6\u00dfe/x.yaml") == sizes
    assert find_grant(known, "teams/A/x.yaml") == capital
    assert find_grant(known, "teams/a/gr\u00f6\u00dfe/x.yaml") == TEAM_A
    assert find_grant(known, "teams/gro\u0308\u00dfe/x.yaml") is None  # the same in another form


def test_outside_of_all_folders_there_is_no_grant() -> None:
    assert find_grant((TEAM_A,), "shop.yaml") is None
    assert why_none((TEAM_A,), "shop.yaml") == "no grant is for folder ."
    assert find_grant(EVERYTHING, "any/where.yaml") == EVERYTHING[0]


GLOBS = st.text("ab*?-", min_size=1, max_size=5)
NAMES = st.text("ab-", min_size=1, max_size=5)


@given(st.lists(GLOBS, max_size=3), GLOBS, NAMES)
def test_what_is_covered_is_granted_and_what_is_granted_may_meet(
    granted: list[str], glob: str, name: str
) -> None:
    if not fnmatch.fnmatchcase(name, glob):
        return
    given_name = any(fnmatch.fnmatchcase(name, one) for one in granted)
    assert given_name or not covers(granted, glob)
    assert may_meet(granted, glob) or not given_name


@pytest.mark.parametrize(
    ("granted", "glob", "covered", "meets"),
    [
        (("shop-*",), "shop-*", True, True),
        (("shop-*",), "shop-eu-*", True, True),
        (("shop-*",), "shop-1", True, True),
        (("shop-*",), "*", False, True),
        (("shop-*",), "s*", False, True),
        (("shop-*",), "kube-*", False, False),
        (("shop",), "sh?p", False, True),
        (("[ab]-x",), "a-x", True, True),
        ((), "shop", False, False),
    ],
)
def test_globs(granted: tuple[str, ...], glob: str, covered: bool, meets: bool) -> None:
    assert (covers(granted, glob), may_meet(granted, glob)) == (covered, meets)


SELECTOR = NamespaceSelector(names=("*",))


def test_a_grant_that_was_narrowed_holds_for_what_was_compiled_before() -> None:
    found = limit_selector(SELECTOR, GRANTS, "teams/a/shop.yaml#0")
    assert (found.within, found.grant) == (("a", "a-*"), "teams/a")
    older = NamespaceSelector(names=("*",), within=("a", "b", "a-eu-*"), grant="teams/a")
    assert limit_selector(older, GRANTS, "teams/a/shop.yaml#0").within == ("a", "a-eu-*")
    same = NamespaceSelector(names=("*",), within=("a", "a-*"), grant="teams/a")
    assert limit_selector(same, GRANTS, "teams/a/shop.yaml#0") == same
    assert limit_selector(same, GRANTS, "shop.yaml#0") == same


def test_a_grant_that_is_gone_gives_nothing_any_more() -> None:
    assert limit_selector(SELECTOR, (TEAM_A,), "teams/b/shop.yaml#0").within == ()
    assert limit_selector(SELECTOR, EVERYTHING, "teams/b/shop.yaml#0") == SELECTOR
    assert limit_selector(SELECTOR, (TEAM_A,), "") == SELECTOR


@pytest.mark.parametrize(
    ("hooks", "namespace", "allowed"),
    [
        (("*",), "shop", True),
        (("*",), "kube-system", False),
        (("*",), "backstay-system", False),
        (("backstay-system",), "backstay-system", False),
        (("kube-system",), "kube-system", True),
        (("kube-*",), "kube-public", True),
        (("k*",), "kube-public", False),
        ((), "shop", False),
        # In all that a glob selects: a policy speaks of kube-* by a pattern that begins so.
        (("*",), "*", True),
        (("*",), "shop-*", True),
        (("shop-*",), "shop-eu-*", True),
        (("shop-*",), "shop*", False),
        (("shop-?",), "shop-*", False),
        (("*",), "kube-*", False),
        (("k*",), "kube-s*", False),
        (("*",), "kube-[s]ystem", False),
        (("*", "kube-*"), "kube-*", True),
        (("kube-system",), "kube-*", False),
    ],
)
def test_where_a_hook_may_run(hooks: tuple[str, ...], namespace: str, allowed: bool) -> None:
    grant = Grant(path="teams/a", hooks=hooks)
    assert grant.may_hook(namespace, own_namespace="backstay-system") is allowed


def test_backstays_own_namespace_is_where_the_installation_runs() -> None:
    grant = Grant(path="teams/a", hooks=("*", "kube-*"))
    assert grant.may_hook("backstay-system", own_namespace="backups")
    assert not grant.may_hook("backups", own_namespace="backups")
    assert grant.may_hook("backup*", own_namespace="backups"), "a selector's glob leaves it out"
    assert not grant.may_hook("kube-*", own_namespace="kube-backups"), "this one takes it in"
    assert grant.may_hook("kube-s*", own_namespace="kube-backups")
