"""A hostile policy repository costs bounded time, memory and disk, and executes nothing (I9).

The bounds are the kernel's: a process with a limit of CPU and of address space reads everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rig.policyrepo import PolicyRepository
from tests.system.policy import limited
from tests.unit.policy.hostiletexts import EVIL, make_texts
from tests.unit.policy.yamltexts import MAIN, SHOP

ROOT = Path(__file__).parents[3]
SMALL = 16 * 1024
NAMES = [b"a\nb.yaml", b"\x1b]0;owned\x07.yaml", "a\u202eb.yaml".encode(), b"::error::x\x1b.yaml"]
"""Names that would do something to a terminal or to a CI system's log."""


def limited_child(*arguments: str) -> Any:
    """What the limited process says."""
    done = subprocess.run(
        [sys.executable, "-m", limited.__name__, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


def test_each_hostile_file_is_a_problem_in_bounded_time_and_memory() -> None:
    ends = limited_child("texts")
    assert set(ends) == set(make_texts())
    assert {name: end for name, end in ends.items() if end} == {}


def hostile_files() -> dict[bytes, bytes]:
    """Path below the folder of policies → bytes."""
    files = {f"{name}.yaml".encode(): data for name, data in make_texts(SMALL).items()}
    files |= dict.fromkeys(NAMES, EVIL.encode())
    return files | {b"good/main.yaml": MAIN.encode(), b"good/shop.yaml": SHOP.encode()}


LINKS = {b"link.yaml": b"/etc/passwd", b"up": b"../..", b"link\x1b[2J.yaml": b"x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A local folder with all of it, and far too many other files."""
    root = tmp_path / "policies"
    for name, data in hostile_files().items():
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, target in LINKS.items():
        (root / os.fsdecode(name)).symlink_to(os.fsdecode(target))
    (root / "module").mkdir()
    (root / "module" / ".git").write_text("gitdir: /\n")
    os.mkfifo(root / "pipe.yaml")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> PolicyRepository:
    """The same as a Git repository, with what only a tree can hold."""
    made = PolicyRepository(tmp_path / "policies.git")
    good = [
        _entry(made, "100644", data, name.removeprefix(b"good/"))
        for name, data in hostile_files().items()
        if name.startswith(b"good/")
    ]
    entries = [
        _entry(made, "100644", data, name)
        for name, data in hostile_files().items()
        if not name.startswith(b"good/")
    ]
    entries += [_entry(made, "120000", target, name) for name, target in LINKS.items()]
    entries += [b"160000 commit " + b"1" * 40 + b"\tmodule"]
    folder = _tree(made, good).encode()
    entries += [b"040000 tree " + folder + b"\tgood", b"040000 tree " + folder + b"\t.."]
    top = _tree(made, [b"040000 tree " + _tree(made, entries).encode() + b"\tpolicies"])
    made.push_tree(top)
    return made


def _entry(repository: PolicyRepository, mode: str, data: bytes, name: bytes) -> bytes:
    return f"{mode} blob {repository.blob(data)}\t".encode() + name


def _tree(repository: PolicyRepository, entries: list[bytes]) -> str:
    return repository.git("mktree", "-z", stdin=b"\0".join(entries) + b"\0")


def check(said: Mapping[str, Any], *, more: set[str]) -> None:
    """Everything hostile is told, in printable words; what is good is there."""
    assert said["policies"] == ["shop"]
    told: dict[str, str] = {}
    for file, message in said["problems"]:
        assert file.isprintable()
        assert message.isprintable()
        told.setdefault(file.partition("policies/")[2], message)
    expected = {f"{name}.yaml" for name in make_texts(SMALL)}
    expected |= {"a\\nb.yaml", "\\x1b]0;owned\\x07.yaml", "a\\u202eb.yaml", "::error::x\\x1b.yaml"}
    expected |= {"link.yaml", "up", "link\\x1b[2J.yaml", "module"}
    assert set(told) == expected | more
    assert told["up"] == "a symbolic link is not followed"
    assert told["module"] == "a submodule is not followed"
    assert told["ten megabytes.yaml"] == "larger than 256 KiB and not read"


def test_a_local_folder(folder: Path) -> None:
    check(limited_child("folder", str(folder)), more={"pipe.yaml"})


def test_a_git_repository(repository: PolicyRepository, tmp_path: Path) -> None:
    said = limited_child("git", repository.url, str(tmp_path / "work"))
    check(said, more={"../main.yaml", "../shop.yaml"})


def test_names_of_many_megabytes_are_refused(tmp_path: Path) -> None:
    """A few kilobytes of trees that stand for gigabytes of names."""
    made = PolicyRepository(tmp_path / "policies.git")
    tree = _tree(made, [_entry(made, "100644", b"x", b"n" * 4000 + b".yaml")])
    for _ in range(2):
        tree = _tree(made, [f"040000 tree {tree}\t{n:03}".encode() for n in range(100)])
    made.push_tree(_tree(made, [f"040000 tree {tree}\tpolicies".encode()]))
    done = subprocess.run(
        [sys.executable, "-m", limited.__name__, "git", made.url, str(tmp_path / "work")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"32 MiB of names" in done.stderr
