"""A real sshd with one repository, and clients of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.gitcredentials import parse_credentials
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.store import Write
from tests.rig.servers.sshd import Sshd

WHEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
BRANCH = "clusters/prod/shop"

MakeStore = Callable[..., GitManifestStore]
Executed = Callable[[], list[list[str]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """An sshd with an empty repository ``manifests``."""
    with Sshd(tmp_path / "sshd") as running:
        running.create("manifests")
        yield running


@pytest.fixture
def make_store(server: Sshd, tmp_path: Path) -> Iterator[MakeStore]:
    """Makes stores of that repository, each in a working folder of its own unless one is given."""
    opened: list[GitManifestStore] = []

    def make(
        *,
        secret: Mapping[str, bytes] | None = None,
        url: str = "",
        workdir: Path | None = None,
        deadline: float = 60,
    ) -> GitManifestStore:
        data = server.secret() if secret is None else secret
        opened.append(
            GitManifestStore(
                url or server.url("manifests"),
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=parse_credentials(data, "Secret git"),
                workdir=workdir or tmp_path / f"work{len(opened)}",
                deadline=deadline,
                allow_local=True,
            )
        )
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executed:
    """Returns the arguments of every process since it was last asked."""
    log = tmp_path / "executed.jsonl"
    monkeypatch.setenv("BACKSTAY_EXEC_LOG", str(log))

    def take() -> list[list[str]]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [json.loads(line)["argv"] for line in lines]

    return take


def push_one(store: GitManifestStore, name: str = "a") -> str:
    """A commit with one more file on top of the branch, pushed."""
    parent = store.tip(BRANCH)
    sha = store.commit(BRANCH, parent, [Write(f"shop/{name}", name.encode())], name, when=WHEN)
    store.push({BRANCH: sha})
    return sha


def install_hook(repository: Path, script: str, name: str = "pre-receive") -> None:
    """A hook on the server."""
    hook = repository / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(hook, 0o755)  # noqa: PTH101, S103 - git runs it
