"""Which tests of the cluster tier run in one process: a module does, and some modules do together.

xdist can group by a marker too (`--dist loadgroup`), but its version 3.8 writes the group into what
pytest 9.2 no longer reads: each test then runs anywhere, without a word.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

CLUSTER = "tests/cluster/"
GATED = {
    "test_killed_runs": "gated: runs",
    "test_injected": "gated: runs",
    "test_bad_days": "gated: all else",
    "test_gate": "gated: all else",
    "test_killed_restores": "gated: all else",
}
"""Modules that break things need a second cluster: two processes start it for them, not all."""


def group_of(nodeid: str) -> str:
    """The name of what runs in one process; of a test that needs no cluster it is its own."""
    file = nodeid.partition("::")[0]
    if not file.startswith(CLUSTER):
        return nodeid
    module = file.removeprefix(CLUSTER).removesuffix(".py")
    return GATED.get(module, file)


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process one group after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
