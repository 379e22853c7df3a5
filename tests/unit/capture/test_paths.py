"""Every object has a path of its own that every file system can hold, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.capture import paths
from reconciler.model.objects import folder_of
from tests.unit.capture.objects import resource

CLUSTER_ROLE = "clusterrole.rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("folder", "namespace", "name", "path"),
    [
        ("configmap", "shop", "web", "shop/configmap/web.yaml"),
        ("deployment.apps", "shop", "web.v2", "shop/deployment.apps/web.v2.yaml"),
        ("namespace", "", "shop", "_cluster/namespace/shop.yaml"),
        (
            CLUSTER_ROLE,
            "",
            "system:Node",
            f"_cluster/{CLUSTER_ROLE}/system%3A%4Eode.yaml",
        ),
        ("configmap", "con", "aux", "%63on/configmap/%61ux.yaml"),
        ("configmap", "shop", "com1.example", "shop/configmap/%63om1.example.yaml"),
        ("configmap", "shop", "console", "shop/configmap/console.yaml"),
        (CLUSTER_ROLE, "", "../../etc", f"_cluster/{CLUSTER_ROLE}/%2E.%2F..%2Fetc.yaml"),
        (CLUSTER_ROLE, "", ".git", f"_cluster/{CLUSTER_ROLE}/%2Egit.yaml"),
        (CLUSTER_ROLE, "", "-rf", f"_cluster/{CLUSTER_ROLE}/%2Drf.yaml"),
        (CLUSTER_ROLE, "", "Ä b\n*", f"_cluster/{CLUSTER_ROLE}/%C3%84%20b%0A%2A.yaml"),
    ],
)
def test_paths(folder: str, namespace: str, name: str, path: str) -> None:
    kind = resource(folder, namespaced=bool(namespace))
    metadata = {"name": name, "namespace": namespace}
    assert paths.object_path(kind, metadata) == path
    assert paths.parse_path(path) == paths.Location(namespace, folder, name)


def test_a_namespace_in_a_cluster_scoped_object_is_ignored() -> None:
    kind = resource(CLUSTER_ROLE, namespaced=False)
    assert paths.object_path(kind, {"name": "x", "namespace": "shop"}).startswith("_cluster/")


def test_a_name_that_is_too_long_is_cut_and_stays_unique() -> None:
    one, two = "a" * 252 + "b", "a" * 252 + "c"
    assert paths.encode("a" * 240) == "a" * 240
    assert paths.encode(one) != paths.encode(two)
    assert paths.encode(one) == "a" * 223 + "~7376f2b410b2e291"
    assert paths.decode(paths.encode(one)) is None
    location = paths.parse_path(paths.path_of("shop", "", "ConfigMap", one))
    assert location == paths.Location("shop", "configmap", None)


def test_a_cut_never_splits_an_encoded_byte() -> None:
    for size in range(70, 90):
        stem, _, digest = paths.encode("a" * (size % 3) + "Ä" * size).partition("~")
        assert len(digest) == 16
        assert stem.count("%") * 3 + size % 3 == len(stem)


@pytest.mark.parametrize("path", ["_run.yaml", "shop/x.yaml", "a/b/c/d.yaml", "shop/configmap/x"])
def test_other_files_are_no_manifests(path: str) -> None:
    assert paths.parse_path(path) is None


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(names)
def test_any_name_comes_back(name: str) -> None:
    part = paths.encode(name)
    assert part.isascii()
    assert part == part.strip(". ")
    assert not set(part) & set('/\\:*?"<>|\0\n')
    assert len(part) + len(paths.SUFFIX) <= 255
    if "~" not in part:
        assert paths.decode(part) == name


@given(names, names)
def test_two_names_never_meet_whatever_a_file_system_ignores(one: str, two: str) -> None:
    assume(one != two)
    assert paths.encode(one).lower() != paths.encode(two).lower()


kinds = st.from_regex(r"[A-Z][A-Za-z]{0,20}", fullmatch=True)
groups = st.sampled_from(["", "apps", "example.org", "Example.org", "con"])
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
hostile = st.one_of(
    names,
    st.sampled_from(
        ["..", ".", "../..", "a/../b", "C:\\x", "a:b", "A:B", "~", "a~0", "%2E", "_run"]
    ),
    st.text("aA:./%~\u0130\u00df", min_size=1, max_size=8),
    st.integers(239, 253).map(lambda size: "x" * size),
)
identities = st.tuples(st.one_of(st.just(""), labels), groups, kinds, hostile)


@given(identities)
def test_any_identity_is_one_file_below_its_folder(identity: tuple[str, str, str, str]) -> None:
    """Also of a custom resource whose maker wants to leave the folder, or to write the record."""
    namespace, group, kind, name = identity
    path = paths.path_of(namespace, group, kind, name)
    parts = path.split("/")
    assert len(parts) == 3
    assert not {"", ".", ".."} & set(parts)
    assert all(len(part.encode()) <= 255 and part.isascii() for part in parts)
    assert path not in (paths.RECORD_PATH, paths.MARKER_PATH, paths.REPOSITORIES_PATH)
    found = paths.parse_path(path)
    assert found is not None
    assert (found.namespace, found.folder) == (namespace, folder_of(group, kind))
    assert found.name == (None if "~" in parts[2] else name)


@given(identities, identities)
def test_two_identities_never_share_a_file_whatever_a_file_system_folds(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    first, second = (
        (namespace, folder_of(group, kind), name) for namespace, group, kind, name in (one, two)
    )
    assume(first != second)
    assert paths.path_of(*one).casefold() != paths.path_of(*two).casefold()
