"""Reads hostile files within limits that the kernel holds; started as a process by the test.

``python -m tests.system.policy.limited texts`` forks once per text, each with a limit of CPU
and of memory of its own. ``… folder PATH`` and ``… git URL WORKDIR`` read everything at once. One
JSON document on stdout.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from reconciler import policy
from reconciler.model.errors import Problem
from reconciler.model.policy import ParsedFiles
from tests.unit.policy.hostiletexts import make_texts
from tests.unit.policy.yamltexts import MAIN, SHOP

SIZE = 128 << 10
CPU = 10
"""Seconds for one text, of which the worst needs half a one; a quadratic reader needs minutes."""
CPU_OF_ALL = 90
MEMORY = 512 << 20
"""Bytes of address space, with Python and its libraries."""


def limit(cpu: int) -> None:
    """Ends this process with a signal, or a MemoryError, when it takes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + cpu
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # Processes that it starts inherit this, and may have another limit.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))


def read_texts() -> dict[str, int]:
    """Text → how the process that read it ended; 0 is well."""
    ends = {}
    for name, data in make_texts(SIZE).items():
        child = os.fork()
        if child == 0:
            code = 70
            try:
                limit(CPU)
                code = _read(data)
            finally:
                os._exit(code)
        ends[name] = os.waitpid(child, 0)[1]
    return ends


def _read(data: bytes) -> int:
    """0 if there are problems, all of this file, each one line, and the good one is good."""
    files = {"evil.yaml": data, "good.yaml": f"{MAIN}---\n{SHOP}".encode()}
    parsed = policy.parse_files(files)
    shown = policy.render_problems(parsed.problems, files)
    good = [found.name for found in parsed.policies if found.name == "shop"]
    told = {problem.file for problem in parsed.problems} == {"evil.yaml"}
    return 0 if good and told and shown.replace("\n", "").isprintable() else 1


def read_folder(folder: str) -> dict[str, object]:
    """A local folder, as `validate` reads it."""
    from reconciler.cli import policyfiles

    limit(CPU_OF_ALL)
    found = policyfiles.collect((folder,), stdin_name="")
    return _report(policy.parse_files(found.files), found.problems)


def read_git(url: str, workdir: str) -> dict[str, object]:
    """A repository, as the controller reads it."""
    from reconciler.adapters.gitcredentials import GitCredentials
    from reconciler.adapters.gitsource import GitPolicySource

    limit(CPU_OF_ALL)
    with GitPolicySource(
        url,
        ref="main",
        path="policies",
        credentials=GitCredentials(),
        workdir=Path(workdir),
        allow_local=True,
    ) as source:
        fetched = source.fetch(None)
    return _report(policy.parse_files(fetched.files), list(fetched.problems))


def _report(parsed: ParsedFiles, problems: list[Problem]) -> dict[str, object]:
    return {
        "policies": [found.name for found in parsed.policies],
        "problems": [[problem.file, problem.message] for problem in [*problems, *parsed.problems]],
    }


def main() -> None:
    """What was asked for, as JSON."""
    what, *arguments = sys.argv[1:]
    found: object
    if what == "texts":
        found = read_texts()
    else:
        found = (read_folder if what == "folder" else read_git)(*arguments)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
