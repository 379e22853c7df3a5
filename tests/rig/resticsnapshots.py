"""Hundreds of snapshots in a local restic repository within milliseconds.

`restic backup` takes a process and a tenth of a second for each. A snapshot is one small file,
though: JSON, encrypted with the repository's master key, and named by its SHA-256. `restic forget`
looks at nothing else. The format is in restic's "Design" page, section "Trees and Data".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.rig import cheapkeys


def write_snapshots(
    repository: Path, password: str, snapshots: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Name → full id of new snapshots with these fields: ``time``, ``tags`` and so on."""
    (key,) = (repository / "keys").iterdir()
    secret = cheapkeys.open_master(key.read_bytes(), password)
    written = {}
    for name, fields in snapshots.items():
        plain = {"tree": "0" * 64, "paths": ["/data"], "hostname": "test", **fields}
        text = cheapkeys.seal(secret, json.dumps(plain).encode())
        written[name] = hashlib.sha256(text).hexdigest()
        (repository / "snapshots" / written[name]).write_bytes(text)
    return written
