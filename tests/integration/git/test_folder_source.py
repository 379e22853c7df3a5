"""Policies in a folder: hostile, half-published, swapped while it is read."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path, PosixPath

import pytest

from reconciler.adapters.foldersource import FolderPolicySource
from reconciler.adapters.policytree import Limits
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.store import Descends, parse_revision
from tests.rig.policyfolder import publish, write_files

GOOD = {"policies/shop.yaml": b"kind: BackupPolicy\n"}
A, B = "a" * 40, "b" * 40


def source(
    folder: Path, *, path: str = "policies", limits: Limits | None = None
) -> FolderPolicySource:
    """A source on a folder."""
    return FolderPolicySource(folder, ref="main", path=path, limits=limits)


def test_links_and_devices_are_problems_and_hidden_things_are_passed_over(tmp_path: Path) -> None:
    write_files(tmp_path, GOOD | {"policies/.git/config.yaml": b"x", "policies/.x.yaml": b"x"})
    here = tmp_path / "policies"
    (here / "link.yaml").symlink_to("/etc/passwd")
    (here / "folder").symlink_to("..")
    os.mkfifo(here / "pipe.yaml")
    fetched = source(tmp_path).fetch(None)
    assert dict(fetched.files) == GOOD
    assert fetched.message is None
    assert [(problem.file, problem.message) for problem in fetched.problems] == [
        ("policies/folder", "a symbolic link is not followed"),
        ("policies/link.yaml", "a symbolic link is not followed"),
        ("policies/pipe.yaml", "this is no file and not read"),
    ]


def test_what_is_too_large_too_many_or_too_deep(tmp_path: Path) -> None:
    write_files(tmp_path, GOOD | {"policies/large.yaml": b"x" * 2000, "policies/a/b/c.yaml": b"1"})
    fetched = source(tmp_path, limits=Limits(file_size=1024)).fetch(None)
    assert set(fetched.files) == {*GOOD, "policies/a/b/c.yaml"}
    assert [problem.message for problem in fetched.problems] == ["larger than 1 KiB and not read"]
    for limits, says in (
        (Limits(files=2), "3 policy files; 2 are allowed"),
        (Limits(entries=3), "more than 3 entries"),
        (Limits(total_size=100), "more than 0 MiB of policies"),
        (Limits(depth=1), "folders more than 1 deep"),
    ):
        with pytest.raises(Refused, match=says) as caught:
            source(tmp_path, limits=limits).fetch(None)
        assert caught.value.hint


def test_a_link_in_place_of_the_policies_leads_nowhere(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", {"a.yaml": b"1"})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/policies").symlink_to("../elsewhere")
    assert not source(tmp_path / "root").fetch(None).path_found
    (tmp_path / "root/policies").unlink()
    (tmp_path / "root/policies").write_bytes(b"a file")
    fetched = source(tmp_path / "root").fetch(None)
    assert (fetched.path_found, dict(fetched.files)) == (False, {})


def test_a_folder_that_is_not_there_yet_is_no_empty_one(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path / "link"):
        with pytest.raises(Incomplete, match="there is no folder") as caught:
            source(folder).fetch(None)
        assert "git-sync" in caught.value.hint
        if not (tmp_path / "link").is_symlink():
            (tmp_path / "link").symlink_to("gone")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused, match="is no folder"):
        source(tmp_path / "file").fetch(None)


@pytest.mark.parametrize("name", [A, f"rev-{A}", "a" * 64])
def test_the_revision_is_the_commit_that_the_link_names(tmp_path: Path, name: str) -> None:
    publish(tmp_path, name, GOOD)
    fetched = source(tmp_path / "current").fetch(None)
    assert parse_revision(fetched.revision) == ("main", name.removeprefix("rev-"))
    assert dict(fetched.files) == GOOD


def test_a_folder_without_a_commit_has_a_digest_of_what_is_in_it(tmp_path: Path) -> None:
    for name, files in (("one", GOOD), ("two", GOOD), ("three", GOOD | {"policies/b.yaml": b""})):
        write_files(tmp_path / name, files)
    first, second, third = (source(tmp_path / n).fetch(None) for n in ("one", "two", "three"))
    assert first.revision == second.revision != third.revision
    assert parse_revision(first.revision)[0] == "folder"
    looked = source(tmp_path / "one")
    assert looked.fetch(first.revision).descends is Descends.YES
    assert looked.fetch(third.revision).descends is Descends.UNKNOWN


def test_a_mounted_config_map_is_read_through_the_kubelets_link(tmp_path: Path) -> None:
    for day in ("..2026_11_21", "..2026_11_22"):
        write_files(tmp_path / day, {"shop.yaml": day.encode()})
    (tmp_path / "shop.yaml").symlink_to("..data/shop.yaml")
    looked = source(tmp_path, path="")
    for day in ("..2026_11_21", "..2026_11_22"):
        (tmp_path / "..data_tmp").symlink_to(day)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        fetched = looked.fetch(None)
        assert dict(fetched.files) == {"shop.yaml": day.encode()}
        assert fetched.problems == ()


class Acting(PosixPath):
    """A folder with which something happens before or after one of its resolutions."""

    before: dict[int, Callable[[], None]]
    after: dict[int, Callable[[], None]]
    asked: int

    @classmethod
    def at(
        cls,
        folder: Path,
        *,
        before: dict[int, Callable[[], None]] | None = None,
        after: dict[int, Callable[[], None]] | None = None,
    ) -> Acting:
        """What to do, by the number of the resolution, from 1."""
        made = cls(folder)
        made.before, made.after, made.asked = before or {}, after or {}, 0
        return made

    def resolve(self, strict: bool = False) -> Path:  # type: ignore[override]
        """Where it leads."""
        self.asked += 1
        self.before.get(self.asked, lambda: None)()
        found = Path(os.fspath(self)).resolve(strict)
        self.after.get(self.asked, lambda: None)()
        return found


def test_a_folder_that_goes_while_its_link_is_read_is_no_wrong_url(tmp_path: Path) -> None:
    newer = {"policies/newer.yaml": b"2"}
    publish(tmp_path, A, GOOD)
    looked = source(
        Acting.at(tmp_path / "current", after={1: lambda: publish(tmp_path, B, newer)})
    ).fetch(None)
    assert parse_revision(looked.revision) == ("main", B)
    assert dict(looked.files) == newer


def test_a_half_removed_folder_is_not_taken_for_a_new_one_of_its_name(tmp_path: Path) -> None:
    whole = GOOD | {"policies/b.yaml": b"b"}
    publish(tmp_path, A, whole)

    def again() -> None:
        publish(tmp_path, B, GOOD)
        publish(tmp_path, A, whole)

    half = tmp_path / ".worktrees" / A / "policies/b.yaml"
    looked = source(Acting.at(tmp_path / "current", after={1: half.unlink}, before={2: again}))
    assert dict(looked.fetch(None).files) == whole


def test_a_folder_that_is_made_anew_is_read_when_the_link_leads_there(tmp_path: Path) -> None:
    """It was gone, and is half made, when it is opened; all of it is there when it is published."""
    whole = GOOD | {"policies/b.yaml": b"b"}
    publish(tmp_path, A, whole)

    def half() -> None:
        publish(tmp_path, B, GOOD)
        write_files(tmp_path / ".worktrees" / A, GOOD)

    def rest() -> None:
        shutil.rmtree(tmp_path / ".worktrees" / A)
        publish(tmp_path, A, whole)

    looked = source(Acting.at(tmp_path / "current", after={1: half}, before={2: rest}))
    assert dict(looked.fetch(None).files) == whole


def test_no_revision_is_ever_mixed_while_the_link_is_swapped(tmp_path: Path) -> None:
    """Each commit has files of its own and one that names it; the old folder goes at once."""
    revisions = {
        commit: {f"policies/{commit[0]}{number}/x.yaml": commit.encode() for number in range(40)}
        for commit in (A, B)
    }
    publish(tmp_path, A, revisions[A])
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for commit in (B, A):
                publish(tmp_path, commit, revisions[commit])

    swapping = threading.Thread(target=swap)
    swapping.start()
    looked = source(tmp_path / "current")
    try:
        for _ in range(60):
            try:
                fetched = looked.fetch(None)
            except Incomplete:
                continue
            commit = parse_revision(fetched.revision)[1]
            assert dict(fetched.files) == revisions[commit]
    finally:
        ended.set()
        swapping.join(60)
    assert not swapping.is_alive()
    assert dict(looked.fetch(None).files) == revisions[A]
