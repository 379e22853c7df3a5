"""A cluster under a new name: asked for on purpose, or a slip in Config. Pure.

The name stands in branches, in the hosts and URLs of restic repositories, and in their passwords.
Under a new one every history begins again: so a Config with another name than the schedules were
made for changes nothing, until ``cluster.renamedFrom`` says that it is meant. Schedules of
versions that wrote no name are of whatever name Config gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.model import naming
from reconciler.model.config import ClusterConfig
from reconciler.model.errors import ClusterRenamed

_HOW = (
    "put the old name back into Config; or, if this cluster is called so from now on, write"
    " cluster.renamedFrom: {old} (docs/rename-cluster.md says what begins anew)"
)


def made_for(raw: Mapping[str, Any]) -> str:
    """The cluster that a schedule or Job was made for; empty where it does not say."""
    return str((raw["metadata"].get("annotations") or {}).get(naming.CLUSTER, ""))


def check_schedules(cron_jobs: Iterable[Mapping[str, Any]], cluster: ClusterConfig) -> str:
    """What to say of schedules of the former name; empty where there are none.

    Raises ClusterRenamed where some are of a name that Config knows nothing of.
    """
    named = [made_for(raw) for raw in cron_jobs]
    others = sorted({name for name in named if name and name != cluster.name})
    unknown = [name for name in others if name != cluster.renamed_from]
    if unknown:
        old = unknown[0]
        raise ClusterRenamed(
            f"Config calls this cluster {cluster.name}, and {named.count(old)} of its"
            f" {len(named)} schedules were made for {old}: nothing is created, configured or"
            " deleted, and runs write nothing",
            hint=_HOW.format(old=old),
        )
    if not others:
        return ""
    old = cluster.renamed_from
    return (
        f"cluster {old} is called {cluster.name} now: for every policy a new branch and for every"
        f" namespace a new repository starts from zero; what was before stays on clusters/{old}/…"
        f" and in its repositories, and nothing removes it: backstay log POLICY --cluster {old}"
    )


def check_job(job: Mapping[str, Any], cluster: ClusterConfig) -> None:
    """Raises ClusterRenamed where a run's Job was made for another name than Config gives.

    ``renamedFrom`` does not help here: the next schedule, made under the new name, is the one.
    """
    old = made_for(job)
    if not old or old == cluster.name:
        return
    hint = _HOW.format(old=old)
    if old == cluster.renamed_from:
        hint = "the controller makes the schedule again under the new name; then run it again"
    raise ClusterRenamed(
        f"this run's Job was made for cluster {old}, and Config calls it {cluster.name}:"
        " nothing was written",
        hint=hint,
    )
