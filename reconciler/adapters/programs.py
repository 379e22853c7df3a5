"""The versions of the programs that Backstay starts."""

from __future__ import annotations

import os
import re

from reconciler.adapters import process
from reconciler.adapters.gitenvironment import make_environment
from reconciler.model.errors import Refused

_ARGUMENTS = {"git": "--version", "restic": "version"}
_SECONDS = 30.0


def program_version(program: str) -> str:
    """``2.47.3`` of ``git`` or ``restic``; raises Refused where it is missing or does not say."""
    environment = make_environment() if program == "git" else {"PATH": os.environ.get("PATH", "")}
    argv = [program, _ARGUMENTS[program]]
    done = process.run(argv, env=environment, deadline=_SECONDS)
    found = re.search(rb"\d+\.\d+(\.\d+)*", done.stdout)
    if done.code != 0 or found is None:
        raise Refused(f"{program} does not tell its version", hint=f"try: {' '.join(argv)}")
    return found[0].decode()
