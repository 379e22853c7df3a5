"""What a restore has begun and not ended, told from its mark. Pure."""

from __future__ import annotations

import re

from reconciler.model import naming

_RUN_ID = re.compile(r"(?P<policy>.+)-\d{8}-\d{6}-[0-9a-f]{5}")


def policy_of_run(run_id: str) -> str:
    """``shop-20261121-041703-7c1e9`` → ``shop``; what is no run id stays as it is."""
    found = _RUN_ID.fullmatch(run_id)
    return found["policy"] if found else run_id


def way_on(mark: str, namespace: str) -> str:
    """The command that goes on with what carries this mark (`naming.RESTORING`) there.

    With that namespace alone: whether more was asked for nobody knows any more, and an original
    must not come back beside its copy because somebody pasted this.
    """
    run_id, source = naming.restoring_of(mark)
    mapped = f" --map-namespace {source}={namespace}" if source else ""
    only = f" --namespace {source or namespace}"
    return f"backstay restore {policy_of_run(run_id)} --at {run_id}{only}{mapped}"
