"""What restic writes, line by line, as values.

restic promises (its scripting page) that readers who tolerate new fields and new message types
keep working, and that an exit code nobody knows means failure. So a line that is no JSON, or a
message of an unknown type, is never an error here; a snapshot without its id is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.model.volumes import ResticLock, ResticSnapshot

_RETRY = re.compile(
    r"^(?P<what>\S.*?) returned error, retrying after (?P<delay>[0-9hmsµnu.]+): (?P<why>.*)$"
)
_RECOVERED = re.compile(r"^(?P<what>\S.*?) operation successful after \d+ retries")
_OPENING = re.compile(r"<(config|key)/|List\(key\)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Retry:
    """restic waits ``delay`` seconds before it tries ``what`` on the storage again."""

    what: str
    delay: float
    why: str

    @property
    def is_opening(self) -> bool:
        """Whether the repository is not open yet: restic reads its config and keys first of all."""
        return _OPENING.search(self.what) is not None


@dataclass(frozen=True, slots=True)
class Summary:
    """The last message of a backup or a restore; ``added`` is what the repository grew by."""

    snapshot: str
    files: int
    size: int
    added: int


def parse_message(line: bytes) -> Mapping[str, Any] | None:
    """A JSON object with a message type, or None for anything else."""
    if not line.startswith(b"{"):
        return None
    try:
        value = json.loads(line.decode(errors="replace"))
    except ValueError:
        return None
    return value if isinstance(value, dict) and "message_type" in value else None


def parse_retry(text: str) -> Retry | None:
    """The line that restic writes when the storage failed and will be asked again."""
    found = _RETRY.match(text)
    return Retry(found["what"], seconds(found["delay"]), found["why"]) if found else None


def parse_recovered(text: str) -> str:
    """What works again after retries, or nothing."""
    found = _RECOVERED.match(text)
    return found["what"] if found else ""


def seconds(text: str) -> float:
    """Go's duration text as seconds: ``1m2.5s`` → 62.5."""
    parts = re.findall(r"([0-9.]+)(h|ms|µs|us|ns|m|s)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_progress(message: Mapping[str, Any]) -> tuple[int, int]:
    """(done, total) bytes of a status message; the total is 0 while restic still scans."""
    done = message.get("bytes_done", message.get("bytes_restored", 0))
    return _number(done), _number(message.get("total_bytes", 0))


def parse_error(message: Mapping[str, Any]) -> str:
    """One line about one file: the path and what the system said, never contents."""
    error = message.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    item = str(message.get("item") or "")
    text = " ".join(str(text or "unknown error").split())
    return text if not item or item in text else f"{item}: {text}"


def parse_summary(message: Mapping[str, Any]) -> Summary:
    """The summary of a backup or a restore."""
    # What a restore skipped is in place already: it counts.
    files = _total(message, "total_files_processed", "files_restored", "files_skipped")
    size = _total(message, "total_bytes_processed", "bytes_restored", "bytes_skipped")
    added = message.get("data_added_packed", message.get("data_added", 0))
    return Summary(str(message.get("snapshot_id") or ""), files, size, _number(added))


def parse_snapshot(value: Mapping[str, Any]) -> ResticSnapshot:
    """One element of ``snapshots --json``; raises ValueError without a full id or a time."""
    name = value.get("id")
    if not isinstance(name, str) or len(name) != 64:  # SHA-256 in hex
        raise ValueError(f"restic listed a snapshot without its full id: {name!r}")
    summary = value.get("summary")
    figures = summary if isinstance(summary, dict) else {}
    return ResticSnapshot(
        id=name,
        time=datetime.fromisoformat(str(value.get("time"))).astimezone(UTC),
        host=str(value.get("hostname") or ""),
        paths=tuple(value.get("paths") or ()),
        tags=tuple(value.get("tags") or ()),
        parent=str(value.get("parent") or ""),
        files=_number(figures.get("total_files_processed", -1)),
        size=_number(figures.get("total_bytes_processed", -1)),
        added=_number(figures.get("data_added_packed", figures.get("data_added", -1))),
    )


def parse_lock(name: str, text: str) -> ResticLock:
    """The answer of ``cat lock``; raises ValueError without a time."""
    value: dict[str, Any] = json.loads(text)
    return ResticLock(
        id=name,
        time=datetime.fromisoformat(str(value.get("time"))).astimezone(UTC),
        exclusive=value.get("exclusive") is True,
        host=str(value.get("hostname") or ""),
        user=str(value.get("username") or ""),
        pid=_number(value.get("pid")),
    )


def _total(message: Mapping[str, Any], *names: str) -> int:
    return sum(_number(message.get(name)) for name in names)


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
