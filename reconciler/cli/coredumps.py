"""No core dump of this process, nor of a git or restic that it starts: they hold keys in memory.

A limit of one byte, not of none: Linux does not ask the limit where it hands dumps to a program
(``|`` in `kernel.core_pattern`, as with systemd-coredump), but for this value, which it takes as a
wish to have none. A file of one byte is none either. Where the hard limit is 0 already, it can't be
raised to one: no file is written, and a program of the node's that takes dumps gets this one too.
Source: core(5), `fs/coredump.c`.
"""

from __future__ import annotations

import contextlib
import resource

LIMIT = 1


def forbid() -> None:
    """For good, also for processes that begin later; where it is refused, a limit of 0 stays."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (LIMIT, LIMIT))
