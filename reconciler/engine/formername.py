"""Whether a run may say that its policy had another name: not that of another folder's policy.

What a record says of a former name makes that name's recovery points those of this policy, for
good. The controller compares folders as long as the old schedule is there; any later policy may say
`renamedFrom`, so each run asks once more, by the grants of today's Config.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler import ports
from reconciler.engine.context import RunRequest, policy_branch
from reconciler.engine.history import read_record
from reconciler.model.errors import Stalled
from reconciler.model.grants import EVERYTHING, find_grant
from reconciler.ports import ManifestStore


def check_former_name(
    request: RunRequest, store: ManifestStore, reporter: ports.Reporter
) -> RunRequest:
    """The request, without a former name whose newest record is of a folder with another grant.

    One that nobody can read is not taken either: a later run says it, once that was mended. A name
    without a branch leads nowhere.
    """
    former, grants = request.policy.renamed_from, request.config.grants
    if not former or tuple(grants) == EVERYTHING:
        return request
    branch = policy_branch(request.cluster, former)
    tip = store.tip(branch)
    if tip is None:
        return request
    try:
        source = read_record(store, tip).policy.source
    except Stalled as error:
        why = error.message
    else:
        if _grant(request, source) == _grant(request, request.policy.source):
            return request
        why = f"{former} was last of {source or 'no known file'}, which has another grant"
    reporter.warning(
        "not taken as this policy's former name",
        policy=request.policy.name,
        renamed_from=former,
        why=why,
        hint=f"its recovery points stay under the name {former}; see docs/grants.md",
    )
    return replace(request, policy=replace(request.policy, renamed_from=""))


def _grant(request: RunRequest, source: str) -> object:
    return find_grant(request.config.grants, source.rpartition("#")[0])
