"""The inventory from a folder's files, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.inventoryinput import read_inventory
from reconciler.model.errors import InvalidInput, Refused, UsageError
from reconciler.plan.inventoryfiles import published
from tests.unit.engine.controller_world import CONFIG
from tests.unit.plan.inventories import small
from tests.unit.plan.test_inventory_files import files_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The branch's files, checked out."""
    for name, data in files_of(small()).items():
        path = tmp_path / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "inventory"


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_with_the_files_is_enough(folder: Path, form: str) -> None:
    assert read_inventory(form.format(folder)) == published(small())


def test_what_lies_beside_the_files_is_left_alone(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: x")
    (folder / "README.md").write_text("# hello")
    assert read_inventory(str(folder)) == published(small())


def test_a_link_in_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (folder / "points" / "stolen.json").symlink_to(tmp_path / "secret")
    assert read_inventory(str(folder)) == published(small())


@pytest.mark.parametrize("name", ["namespaces", "points"])
def test_a_linked_folder_in_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"{name} is a link"):
        read_inventory(str(folder))


def test_a_problem_names_the_file_on_disk(folder: Path) -> None:
    (folder / "namespaces" / "shop.json").write_text("{\n}")
    with pytest.raises(InvalidInput) as caught:
        read_inventory(str(folder))
    problem = caught.value.problems[0]
    assert problem.file == f"{folder}/namespaces/shop.json"
    assert problem.message == "namespace is missing"


def test_another_clusters_inventory_is_not_taken_for_ones_own(folder: Path) -> None:
    with pytest.raises(UsageError, match="is of cluster prod-eu, not of prod-us"):
        read_inventory(str(folder), cluster="prod-us")


def test_without_any_inventory_both_ways_to_one_are_told() -> None:
    with pytest.raises(UsageError, match="no inventory is named") as caught:
        read_inventory(None)
    assert "--inventory PATH|URL" in caught.value.hint
    with pytest.raises(UsageError, match=r"Config has no inventory\.url") as caught:
        read_inventory(None, config=CONFIG)
    assert "--inventory PATH|URL" in caught.value.hint


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        read_inventory(str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="there is no such folder"):
        read_inventory(f"file://{tmp_path}/missing")


def test_a_folder_without_an_inventory_is_told_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it holds no inventory") as caught:
        read_inventory(str(tmp_path))
    assert caught.value.hint == "give a clone, a folder with inventory.json in it, or a Git URL"


def test_a_url_without_keys_says_where_keys_come_from() -> None:
    with pytest.raises(Refused, match="needs an SSH key") as caught:
        read_inventory("ssh://git@git.example.org/inventories.git", cluster="prod-eu")
    assert "BACKSTAY_INVENTORY_IDENTITY and BACKSTAY_INVENTORY_KNOWN_HOSTS" in caught.value.hint
