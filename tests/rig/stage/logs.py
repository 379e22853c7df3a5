"""Everything that a cluster says while a block runs, kept although the cluster forgets it.

A mover's pod is removed seconds after its end, its log with it. So the node's log files are opened
as soon as they appear (an open file outlives its name), and `kubectl get --watch` writes down every
version of every pod (with its termination message), Job and Event.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import KUBECTL, Built
from tests.rig.stage.stage import Stage

WATCHED = ("pods", "jobs", "events", "secrets")
_EVERY = 0.1
"""Seconds between two looks for new log files; a file stays for as long as its pod."""


def log_files(root: Path, pod: str = "*") -> Iterator[str]:
    """Log files below a node's folder of pods, seen from there; pods may go meanwhile.

    `Path.glob` fails when a folder goes that it has just listed; `glob` passes over it.
    """
    return glob.iglob(f"{pod}/*/*.log*", root_dir=root)  # noqa: PTH207 - as said


def roots(stage: Stage) -> list[Path]:
    """The nodes' folders of pods' logs; RigError where they are out of reach."""
    if not isinstance(stage.cluster.provider, Built):
        raise RigError("log files of nodes are only within reach in the rig's own cluster")
    nodes = stage.cluster.provider.instance.members()
    return [node.machine.state / "log" / "pods" for node in nodes]


def said(stage: Stage, pod: str, namespace: str = "*") -> str:
    """What the pods of a name (with ``*`` for any letters) wrote so far, the earliest pod first."""
    texts: list[tuple[str, str]] = []
    for root in roots(stage):
        for name in log_files(root, f"{namespace}_{pod}_*"):
            if name.endswith(".log"):
                with contextlib.suppress(FileNotFoundError):  # its pod went in this moment
                    text = (root / name).read_text(errors="replace")
                    texts.append((text.partition(" ")[0], unframed(text)))
    return "".join(text for _, text in sorted(texts))


def said_by(stage: Stage, namespace: str, pod: str) -> str:
    """What one pod wrote so far, on any cluster; nothing before it begins."""
    if isinstance(stage.cluster.provider, Built):
        return said(stage, pod, namespace)
    with contextlib.suppress(RigError):
        return stage.kubectl("-n", namespace, "logs", pod)
    return ""


def unframed(text: str) -> str:
    """Without the CRI's frame: time, stream, F or P for the whole or a part of a line, text.

    The last line may have been written by half.
    """
    told = []
    for line in text.splitlines():
        _, _, kind, words = (*line.split(" ", 3), "", "", "")[:4]
        told.append(words if kind == "P" else f"{words}\n")
    return "".join(told)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was written down: a name for people → its bytes."""

    logs: Mapping[str, bytes]
    watched: Mapping[str, bytes]
    """Resource → all versions of its objects, as JSON documents."""

    def objects(self, resource: str) -> Iterator[dict[str, Any]]:
        """Every version of every object of a resource; one that was half written is left out."""
        text = self.watched[resource].decode(errors="replace").strip()
        decoder, at = json.JSONDecoder(), 0
        while at < len(text):
            try:
                version, at = decoder.raw_decode(text, at)
            except ValueError:
                if "\n}\n" in text[at:]:
                    raise  # it is not the last one
                return
            yield version
            at += len(text[at : at + 9]) - len(text[at : at + 9].lstrip())

    def pods_with_logs(self, namespace: str) -> set[str]:
        """Names of the pods of a namespace whose logs are here."""
        folders = (name.split("/")[0].split("_") for name in self.logs)
        return {pod for space, pod, _ in folders if space == namespace}


class Listener:
    """Keeps logs and objects of a stage's cluster from the start of a ``with`` block."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._roots = roots(stage)
        self._kubeconfig = stage.cluster.kubeconfig
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._ended = threading.Event()
        self._looking = threading.Lock()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """For the time of the block; `heard` works inside of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        thread = threading.Thread(target=self._follow, name="logs", daemon=True)
        with contextlib.ExitStack() as held:
            for resource in WATCHED:
                held.enter_context(self._watch(resource))
            thread.start()
            try:
                yield self
            finally:
                self._ended.set()
                thread.join()
                for file in self._files.values():
                    file.close()

    def heard(self) -> Heard:
        """All of it so far."""
        self._look()
        logs = {name: os.pread(file.fileno(), 1 << 30, 0) for name, file in self._files.items()}
        watched = {resource: self._written(resource).read_bytes() for resource in WATCHED}
        return Heard(logs, watched)

    def _follow(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        with self._looking:
            for root in self._roots:
                for name in log_files(root):
                    if name not in self._files:
                        with contextlib.suppress(FileNotFoundError):
                            self._files[name] = (root / name).open("rb")

    def _written(self, resource: str) -> Path:
        return self._folder / f"{resource}.json"

    @contextlib.contextmanager
    def _watch(self, resource: str) -> Iterator[None]:
        # The API server ends a watch after some half an hour by itself, which is longer than this.
        argv = [str(KUBECTL), f"--kubeconfig={self._kubeconfig}", "get", resource]
        with self._written(resource).open("wb") as out:
            child = subprocess.Popen(
                [*argv, "--all-namespaces", "--watch", "-o", "json"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                yield
                if child.poll() is not None:
                    raise RigError(f"the watch of {resource} ended with {child.returncode}")
            finally:
                child.kill()
                child.wait()
