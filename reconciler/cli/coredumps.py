"""No core dump of this process, nor of a git or restic that it starts: they hold keys in memory.

A limit of one byte, not of none: Linux does not ask the limit where it hands dumps to a program
(``|`` in `kernel.core_pattern`, as with systemd-coredump), but for this value, which it takes as a
wish to have none. A file of one byte is none either. Source: core(5), `fs/coredump.c`.
"""

from __future__ import annotations

import contextlib
import resource

LIMIT = 1


def forbid() -> None:
    """For good, also for processes that begin later; where it is refused, there is a limit of 0."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (LIMIT, LIMIT))
