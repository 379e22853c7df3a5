"""A grant's ``maxPolicies``, held against what would be in force: several revisions together. Pure.

One revision is counted where it is read (`reconciler.policy.grants`). While deletions are held,
because it has a problem, say, what earlier revisions brought goes on: a folder that brings other
policies each time would have more and more of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.model import naming
from reconciler.model.grants import Grant, find_grant
from reconciler.model.plan import Action, Change
from reconciler.plan.entries import Entry, annotations_of, policy_of


def withhold(
    changes: Sequence[Change],
    entries: Mapping[str, Entry],
    ours: Mapping[str, Mapping[str, Any]],
    grants: Sequence[Grant],
    *,
    going: Collection[str],
) -> list[Change]:
    """The changes without new policies of folders that would have too many.

    ``ours``: our schedules by the objects' names; ``going``: policies whose schedule goes now. None
    of a folder is taken anew where not all can be, as the order of files decides nothing.
    """
    if all(grant.max_policies is None for grant in grants):
        return list(changes)
    sources = {
        policy_of(raw): annotations_of(raw).get(naming.SOURCE, "")
        for raw in ours.values()
        if policy_of(raw) not in going
    }
    for name, entry in entries.items():
        if entry.wanted is not None and not entry.held:
            sources[name] = entry.source
    by_grant = defaultdict[Grant, set[str]](set)
    for name, source in sources.items():
        grant = find_grant(grants, source.rpartition("#")[0])
        if grant is not None:
            by_grant[grant].add(name)
    full = {
        name: (grant, len(names))
        for grant, names in by_grant.items()
        if grant.max_policies is not None and len(names) > grant.max_policies
        for name in names
        if naming.cronjob_name(name) not in ours
    }
    return [_withheld(one, *full[one.policy]) if one.policy in full else one for one in changes]


def _withheld(change: Change, grant: Grant, count: int) -> Change:
    if change.action is not Action.CREATED:
        return change
    return replace(
        change,
        action=Action.SKIPPED,
        reason=f"folder {grant.folder} would have {count} policies in force, with those that are"
        f" not deleted now, and its grant is for {grant.max_policies}",
        hint="none of them is taken anew until the others are gone",
        body=None,
    )
