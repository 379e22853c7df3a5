"""Folders with very many files are told; all others cost one comparison."""

from __future__ import annotations

from reconciler.plan import folders


def files(folder: str, number: int) -> list[str]:
    return [f"{folder}/{name}.yaml" for name in range(number)]


def test_only_a_folder_above_the_bound_is_told() -> None:
    many, most = files("shop/configmap", 3_001), files("shop/role", 3_000)
    assert list(folders.crowded([*many, *most, "_run.yaml"])) == [("shop/configmap", 3_001)]
    assert list(folders.crowded(most)) == []
    (told,) = folders.warnings(many)
    assert told.startswith("shop/configmap: 3001 files in one folder")


def test_they_are_told_in_the_order_of_their_names() -> None:
    both = [*files("b/configmap", 3_001), *files("a/configmap", 4_000)]
    assert [folder for folder, _ in folders.crowded(both)] == ["a/configmap", "b/configmap"]
