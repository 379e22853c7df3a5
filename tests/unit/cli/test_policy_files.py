"""Which files a command line names, and what is not read of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.adapters.policytree import Limits
from reconciler.cli import policyfiles
from reconciler.cli.policyfiles import PolicyFiles, collect
from reconciler.model.errors import Refused, UsageError
from reconciler.policy.nodes import MAX_BYTES


def names(found: PolicyFiles, folder: Path) -> list[str]:
    """Names of the files below a folder."""
    return [str(Path(name).relative_to(folder)) for name in found.files]


def messages(found: PolicyFiles) -> list[str]:
    """Base name and message of each problem."""
    return [f"{Path(problem.file).name}: {problem.message}" for problem in found.problems]


def test_a_folder_is_read_by_name_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/y.yaml", ".x.yaml", ".h/x.yaml", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = collect((str(tmp_path),), stdin_name="")
    assert names(found, tmp_path) == ["b.yaml", "a/y.yaml", "a/z.yml"]
    assert not found.problems


def test_a_folder_with_a_hidden_parent_is_read(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.yaml").write_text("x")
    found = collect((str(tmp_path / ".cache"),), stdin_name="")
    assert names(found, tmp_path) == [".cache/a.yaml"]


def test_what_is_named_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("x")
    monkeypatch.chdir(tmp_path)
    found = collect((".", "a.yaml", "./a.yaml", str(tmp_path / "a.yaml")), stdin_name="")
    assert list(found.files) == ["a.yaml"]


def test_a_config_may_be_a_link_as_mounted_config_maps_are(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "backstay.yaml").write_text("x")
    (tmp_path / "backstay.yaml").symlink_to("..data/backstay.yaml")
    found = PolicyFiles()
    name = found.add_config(tmp_path / "backstay.yaml")
    assert found.files == {name: b"x"}
    assert found.add_config(tmp_path / "..data" / "backstay.yaml") == name


def test_links_and_pipes_are_problems_wherever_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.yaml")
    expected = [
        "link.yaml: a symbolic link is not followed",
        "pipe.yaml: a special file is not read",
    ]
    assert messages(collect((str(tmp_path),), stdin_name="")) == expected
    both = (str(tmp_path / "link.yaml"), str(tmp_path / "pipe.yaml"))
    assert messages(collect(both, stdin_name="")) == expected


def test_at_most_one_byte_too_many_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as stream:
        stream.truncate(1 << 40)
    found = collect((str(tmp_path),), stdin_name="")
    assert [len(data) for data in found.files.values()] == [256 * 1024 + 1]


def test_folders_without_end(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(policyfiles.MAX_FOLDERS_DEEP + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (tmp_path / "d" / "a.yaml").write_text("x")
    found = collect((str(tmp_path),), stdin_name="")
    assert names(found, tmp_path) == ["d/a.yaml"]
    assert messages(found) == ["d: folders nested more than 100 deep are not read"]


def test_very_many_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        (tmp_path / f"{number}.yaml").write_text("x")
    assert len(collect((str(tmp_path),), stdin_name="").files) == 12
    found = PolicyFiles(entries=policyfiles.MAX_ENTRIES - 11)
    with pytest.raises(Refused, match="more than 100000 names"):
        found.add_folder(tmp_path)
    found = PolicyFiles(files={str(number): b"" for number in range(policyfiles.MAX_FILES - 11)})
    with pytest.raises(Refused, match="more than 10000 YAML files"):
        found.add_folder(tmp_path)
    found = PolicyFiles(size=policyfiles.MAX_TOTAL - 11)
    with pytest.raises(Refused, match="64 MiB"):
        found.add_folder(tmp_path)


def test_the_limits_are_those_of_a_git_repository() -> None:
    limits = Limits()
    theirs = (limits.entries, limits.files, limits.file_size, limits.total_size)
    ours = policyfiles
    assert theirs == (ours.MAX_ENTRIES, ours.MAX_FILES, MAX_BYTES, ours.MAX_TOTAL)


def test_what_is_no_policy_file_is_wrong_usage_and_shown_safely(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n.txt"
    path.write_text("x")
    with pytest.raises(UsageError) as caught:
        collect((str(path),), stdin_name="")
    assert caught.value.message.endswith("a\\x1b[31m\\n.txt is no policy file")


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"gone\.yaml can't be read: No such file"):
        policyfiles.read_file(tmp_path / "gone.yaml")
