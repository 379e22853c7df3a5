"""Object → path in the manifest store, and back.

``<namespace>/<kind>.<group>/<name>.yaml``, cluster-scoped objects below ``_cluster/``. A path must
be one file on every file system that people clone to, so a name is written with:

* ``a-z 0-9 . _ -`` as they are, every other byte of its UTF-8 as ``%XX`` (hex in upper case). Upper
  case letters are among the others: twins such as ``Admin`` and ``admin`` never meet on a file
  system that ignores case, nor do two Unicode spellings of one name;
* a first ``.`` or ``-`` and a last ``.`` encoded too (``.git``, options, Windows);
* the first letter encoded where Windows would take the name for a device (``aux``, ``com1.x``);
* what is longer than `LONGEST` cut, ``~`` and 16 hex digits of its SHA-256 put after it. ``~`` is
  never a part of a name otherwise, so a cut one is recognised; its manifest has the full name.

Nothing that leads out of its folder can come out of this: ``/`` is encoded, and so is a dot in
front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from reconciler.model.objects import Resource, folder_of

CLUSTER_FOLDER = "_cluster"
RECORD_PATH = "_run.yaml"
MARKER_PATH = "_cluster.yaml"
REPOSITORIES_PATH = "_repositories.yaml"
SUFFIX = ".yaml"
# 255 bytes are a file name's limit nearly everywhere; the suffix needs five of them.
LONGEST = 240
_DIGEST = 16

_UNSAFE = re.compile(r"[^a-z0-9._-]|^[.-]|\.$")
_SAFE = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_-])?")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Location:
    """What a path says: ``namespace`` empty for cluster-scoped, ``name`` None where it was cut."""

    namespace: str
    folder: str
    name: str | None


def object_path(resource: Resource, metadata: Mapping[str, Any]) -> str:
    """The path of an object with this ``metadata``."""
    namespace = str(metadata.get("namespace") or "") if resource.namespaced else ""
    return path_of(namespace, resource.group, resource.kind, str(metadata["name"]))


def path_of(namespace: str, group: str, kind: str, name: str) -> str:
    """The same from parts; an empty namespace means cluster-scoped."""
    return f"{folder_path(namespace, group, kind)}/{encode(name)}{SUFFIX}"


def folder_path(namespace: str, group: str, kind: str) -> str:
    """Where the objects of one kind lie, without a slash at the end."""
    return f"{part_path(namespace)}/{encode(folder_of(group, kind))}"


def part_path(namespace: str) -> str:
    """The folder of a namespace, or of what is cluster-scoped if it is empty."""
    return encode(namespace) if namespace else CLUSTER_FOLDER


def parse_path(path: str) -> Location | None:
    """What the path of a manifest says; None for a path that no manifest has."""
    parts = path.split("/")
    if len(parts) != 3 or not parts[2].endswith(SUFFIX):
        return None
    namespace = "" if parts[0] == CLUSTER_FOLDER else decode(parts[0])
    folder, name = decode(parts[1]), decode(parts[2].removesuffix(SUFFIX))
    if namespace is None or folder is None:
        return None
    return Location(namespace, folder, name)


@lru_cache(maxsize=4096)
def encode(name: str) -> str:
    """One part of a path, as the module's text says."""
    if _SAFE.fullmatch(name) and not _DEVICE.match(name):
        text = name
    else:
        text = _UNSAFE.sub(_percent, name)
        if _DEVICE.match(text):
            text = f"%{ord(text[0]):02X}{text[1:]}"
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    head = re.sub(r"%[0-9A-F]?$", "", text[: LONGEST - _DIGEST - 1])
    return f"{head}~{digest}"


def decode(part: str) -> str | None:
    """The name that `encode` was given; None where it was cut."""
    return None if "~" in part else unquote(part, errors="strict")


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def policy_branch(cluster: str, policy: str) -> str:
    """``clusters/<cluster>/<policy>``."""
    return f"clusters/{cluster}/{policy}"


def cluster_branch(cluster: str) -> str:
    """``clusters/<cluster>/_cluster``: the marker and the list of repositories."""
    return f"clusters/{cluster}/_cluster"
