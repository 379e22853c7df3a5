"""`python -m tests.rig.tools`: make sure the tools are there; print the folder to put on PATH."""

from __future__ import annotations

import sys

from tests.rig import tools
from tests.rig.tools.debian import ToolError


def main() -> int:
    """Print the folder of restic; return the exit code."""
    try:
        tools.check_git()
        tools.sshd_path()
        print(tools.restic_path().parent)
    except ToolError as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
