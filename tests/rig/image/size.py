"""How big the image is, layer by layer, and how it is configured: read from its archive."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its digest, its size as an uncompressed tar in bytes, the command that made it."""

    digest: str
    size: int
    made_by: str


def layers(archive: Path) -> list[Layer]:
    """Return the layers of an OCI archive, lowest first."""
    with tarfile.open(archive) as tar:
        manifest = _manifest(tar)
        history = _blob(tar, manifest["config"])["history"]
        found = [(layer["digest"], _unpacked_size(tar, layer)) for layer in manifest["layers"]]
    commands = [entry.get("created_by", "") for entry in history if not entry.get("empty_layer")]
    return [Layer(*layer, command) for layer, command in zip(found, commands, strict=True)]


def config(archive: Path) -> dict[str, Any]:
    """Return the image's configuration: `User`, `Env`, `Entrypoint`, `WorkingDir`."""
    with tarfile.open(archive) as tar:
        value: dict[str, Any] = _blob(tar, _manifest(tar)["config"])["config"]
    return value


def _manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    with _open(tar, "index.json") as file:
        return _blob(tar, json.load(file)["manifests"][0])


def _blob(tar: tarfile.TarFile, descriptor: dict[str, Any]) -> dict[str, Any]:
    with _open(tar, _name(descriptor)) as file:
        value: dict[str, Any] = json.load(file)
    return value


def _name(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _unpacked_size(tar: tarfile.TarFile, descriptor: dict[str, Any]) -> int:
    if not descriptor["mediaType"].endswith("gzip"):
        return int(descriptor["size"])
    with _open(tar, _name(descriptor)) as packed, gzip.open(packed) as plain:
        return sum(len(chunk) for chunk in iter(lambda: plain.read(1 << 20), b""))


@contextmanager
def _open(tar: tarfile.TarFile, name: str) -> Iterator[IO[bytes]]:
    member = tar.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is not a file of the archive")
    with member:
        yield member
