"""The project's files, as Git sees them: tracked, or new and not ignored."""

from __future__ import annotations

import subprocess
from pathlib import Path


def project_files(*patterns: str) -> list[Path]:
    """Return the files that match Git's `patterns` (all without any), relative to the project."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        check=True,
        capture_output=True,
    )
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return sorted({Path(name) for name in names if Path(name).is_file()})
