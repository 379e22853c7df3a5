"""``backstay verify`` on real repositories: chains, signatures, broken objects, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main
from tests.integration.git.history_world import BRANCH, RUNS, HistoryWorld, make_history
from tests.rig.signing import Signer

REF = f"refs/remotes/origin/{BRANCH}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> HistoryWorld:
    return make_history(tmp_path_factory.mktemp("history"))


@pytest.fixture
def world(made: HistoryWorld) -> Iterator[HistoryWorld]:
    """The clone's branch is put back after each test."""
    yield made
    made.git("update-ref", REF, made.commits[-1], where=made.clone)


def verify(
    world: HistoryWorld, capsys: pytest.CaptureFixture[str], *arguments: str, code: int
) -> dict[str, Any]:
    got = main.run(["verify", *arguments, "--clone", str(world.clone), "-o", "json"])
    out, err = capsys.readouterr()
    assert got == code, (got, out, err)
    document: dict[str, Any] = json.loads(out)
    assert document["formatVersion"] == 1
    return document


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    checks = [
        *(c for policy in document["policies"] for c in policy["checks"]),
        *document["checks"],
    ]
    return {check["name"]: check["verdict"] for check in checks}


def test_a_sound_history(world: HistoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    tip = world.commits[-1]
    found = verify(world, capsys, "shop", "--contains", tip[:9], code=0)
    assert verdicts(found) == {
        "history": "proven",
        "commits": "proven",
        "records": "proven",
        "signatures": "not asked",
        f"commit {tip[:9]}": "proven",
        "files": "proven",
        "snapshots": "not asked",
    }
    (policy,) = found["policies"]
    assert (policy["runs"], policy["root"], policy["tip"]) == (len(RUNS), world.commits[0], tip)
    assert main.run(["verify", "--clone", str(world.clone)]) == 0
    out = capsys.readouterr().out
    assert out.endswith(
        "all that was asked for\nnot asked, so nothing is known of it: signatures, snapshots\n"
    )


def commit(world: HistoryWorld, *arguments: str, parents: tuple[str, ...], like: str) -> str:
    """A commit with tree, message and dates of another one; moves the clone's branch."""
    show = ("show", "--no-patch", "--format=%B", like)
    words = [word for parent in parents for word in ("-p", parent)]
    when = world.git("show", "--no-patch", "--format=%cI", like).strip()
    person = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.org"}
    person |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in person.items()}
    done = subprocess.run(
        ["git", "-C", world.clone, *arguments, *words, "-m", world.git(*show), f"{like}^{{tree}}"],
        check=True,
        capture_output=True,
        env={**os.environ, **person, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when},
    )
    sha = done.stdout.decode().strip()
    world.git("update-ref", REF, sha, where=world.clone)
    return sha


def test_a_history_that_was_replaced_and_one_with_a_merge(
    world: HistoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_, tip = world.commits
    rewritten = commit(world, "commit-tree", parents=(), like=first)
    found = verify(world, capsys, "shop", "--contains", tip, "--contains", first[:8], code=1)
    assert verdicts(found)[f"commit {tip[:10]}"] == verdicts(found)[f"commit {first[:8]}"]
    assert verdicts(found)[f"commit {tip[:10]}"] == "problem"
    merge = commit(world, "commit-tree", parents=(tip, rewritten), like=tip)
    found = verify(world, capsys, code=1)
    (history,) = [c for c in found["policies"][0]["checks"] if c["name"] == "history"]
    assert history["problems"] == [f"{merge}: is a merge"]


def test_signatures(
    world: HistoryWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann, eve = Signer(tmp_path, "ann"), Signer(tmp_path, "eve")
    allowed = tmp_path / "allowed"
    allowed.write_bytes(ann.line() + b"\n")
    found = verify(world, capsys, "--allowed-signers", str(allowed), code=1)
    (check,) = [c for c in found["policies"][0]["checks"] if c["name"] == "signatures"]
    assert sorted(check["problems"]) == sorted(f"{sha}: it is not signed" for sha in world.commits)

    def sign(signer: Signer, like: str, *parents: str) -> str:
        options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={signer.key}")
        return commit(world, *options, "commit-tree", "-S", parents=parents, like=like)

    first = sign(ann, world.commits[0])
    second = sign(ann, world.commits[1], first)
    found = verify(world, capsys, "--allowed-signers", str(allowed), code=0)
    assert verdicts(found)["signatures"] == "proven"
    third = sign(eve, world.commits[2], second)
    found = verify(world, capsys, "--allowed-signers", str(allowed), code=1)
    (check,) = [c for c in found["policies"][0]["checks"] if c["name"] == "signatures"]
    assert check["problems"] == [f"{third}: it is signed with a key that is not allowed"]


def test_what_no_run_writes_is_told_and_the_rest_is_looked_at(
    world: HistoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message of 2 MiB, and a record of 65 MiB: the report is whole."""

    def git(*arguments: str, text: bytes) -> str:
        command = ["git", "-C", str(world.clone), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, check=True)
        return done.stdout.decode().strip()

    tip = world.commits[-1]
    plain = world.git("cat-file", "commit", tip, where=world.clone)
    head, _, text = plain.partition("\n\n")
    tree, _, people = re.sub(r"\nparent \w+", "", head).partition("\n")
    long = git(
        "hash-object", "-t", "commit", "-w", "--stdin",
        text=f"{tree}\nparent {tip}\n{people}\n\n{'x' * (2 << 20)}".encode(),
    )  # fmt: skip
    blob = git("hash-object", "-w", "--stdin", text=bytes(65 << 20))
    large = git("mktree", text=f"100644 blob {blob}\t_run.yaml\n".encode())
    body = f"tree {large}\nparent {long}\n{people}\n\n{text}"
    huge = git("hash-object", "-t", "commit", "-w", "--stdin", text=body.encode())
    world.git("update-ref", REF, huge, where=world.clone)
    found = verify(world, capsys, "shop", "--contains", tip, code=1)
    checks = {check["name"]: check for check in found["policies"][0]["checks"]}
    assert checks["commits"]["problems"] == [
        f"{long}: (more than 1 MiB; no run makes such a message)"
    ]
    (told,) = checks["bounds"]["problems"]
    assert told.startswith(f"{huge}: its record: the file {blob} of ")
    assert "68157440 bytes; no run writes more than 64 MiB into one" in told
    assert (checks["history"]["verdict"], found["policies"][0]["commits"]) == ("proven", 8)
    assert verdicts(found)["files"] == "proven"
    assert main.run(["log", "shop", "--clone", str(world.clone)]) == 0
    assert capsys.readouterr().out.count("\n") == len(RUNS) + 1


def test_a_broken_object_and_a_shallow_clone(
    world: HistoryWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shallow = tmp_path / "shallow"
    url = f"file://{world.server}"
    world.git(
        "clone", "--quiet", "--no-checkout", "--depth=2", "--branch", BRANCH, url, str(shallow)
    )
    older = ["--contains", world.commits[0]]
    assert main.run(["verify", "--no-repositories", *older, "--clone", str(shallow)]) == 3
    assert main.run(["verify", "--clone", str(shallow)]) == 3
    assert "not proven  history: the clone is shallow" in capsys.readouterr().out
    broken = tmp_path / "broken"
    world.git("clone", "--quiet", "--no-checkout", "--no-local", str(world.server), str(broken))
    (pack,) = (broken / ".git" / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 0xFF
    pack.write_bytes(data)
    assert main.run(["verify", "--clone", str(broken)]) != 0
    assert "proven: all" not in capsys.readouterr().out


def test_what_is_not_there_is_told(world: HistoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["verify", "nobody", "--clone", str(world.clone)]
    assert main.run(arguments) == 1
    assert "policies with runs: shop" in capsys.readouterr().err
    for more in ([], ["--no-repositories"]):
        found = verify(world, capsys, "--cluster", "typo", *more, code=3)
        assert found["policies"] == []
        assert verdicts(found)["policies"] == found["verdict"] == "not proven"
    assert main.run(["verify", "--contains", "HEAD", "--clone", str(world.clone)]) == 2
    assert "is no commit" in capsys.readouterr().err
