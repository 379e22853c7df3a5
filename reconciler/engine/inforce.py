"""Which policies the schedules in the cluster run by after a cycle. Asks nobody for anything.

Git says what is wanted. A broken document, a brake or a refusal keeps what was there before, and a
policy without a schedule protects nothing: whoever measures must not take the one for the other.
"""

from __future__ import annotations

from reconciler.engine.controller import Cycle
from reconciler.model.plan import Action
from reconciler.model.policy import BackupPolicy
from reconciler.plan.entries import last_good, ours_by_name, policy_of


def policies_in_force(cycle: Cycle) -> dict[str, BackupPolicy] | None:
    """Name → policy, by name; None where the cycle did not come to an end that tells.

    A schedule whose own policy can't be read back from the cluster is left out.
    """
    if cycle.error is not None or cycle.observed is None or cycle.plan is None:
        return None
    config_maps = ours_by_name(cycle.observed.config_maps)
    cron_jobs = {policy_of(raw): raw for raw in ours_by_name(cycle.observed.cron_jobs).values()}
    refused = {done.change.policy for done in cycle.done if done.error}
    scheduled = set(cron_jobs)
    kept = set(refused)
    for change in cycle.plan.changes:
        if change.action is Action.SKIPPED:
            kept.add(change.policy)
        elif change.object.kind == "CronJob" and change.policy not in refused:
            if change.action is Action.DELETED:
                scheduled.discard(change.policy)
            elif change.action is Action.CREATED:
                scheduled.add(change.policy)
    wanted = {policy.name: policy for policy in cycle.policies}
    found: dict[str, BackupPolicy] = {}
    for name in sorted(filter(None, scheduled)):
        if name in wanted and (name not in kept or name not in cron_jobs):
            found[name] = wanted[name]
        elif name in cron_jobs and (good := last_good(cron_jobs[name], config_maps)):
            found[name] = good.policy
    return found
