"""Asks whether a run has found that a branch was rewound, and nobody has seen to it yet."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine.doctorfacts import Facts
from reconciler.engine.observe import read_all
from reconciler.model import kinds, naming
from reconciler.model.doctor import Finding, Level
from reconciler.plan.rewinds import COMPONENT_STATE, find_rewound, hint_of, message_of

CHECK = "git/rewound"


def ask_rewound(facts: Facts) -> Iterator[Finding]:
    """What stands beside the remembered tips, of the cluster's own branch too."""
    leases = read_all(
        facts.cluster,
        kinds.LEASES,
        dict,
        namespace=facts.namespace,
        label_selector=f"{naming.COMPONENT}={COMPONENT_STATE}",
    )
    wanted = {naming.CLUSTER_TIP_LEASE, naming.tip_lease_name(facts.policy)}
    found = {
        name: one
        for name, one in find_rewound(leases).items()
        if not facts.policy or name in wanted
    }
    for name, rewound in sorted(found.items()):
        hint = (
            "once you know why, and that it is right as it is:"
            f" kubectl -n {facts.namespace} annotate lease/{name} {naming.REWOUND}-"
            if name == naming.CLUSTER_TIP_LEASE
            else hint_of(rewound.branch.rpartition("/")[2], rewound)
        )
        yield Finding(
            id=CHECK,
            level=Level.PROBLEM,
            where=f"branch {rewound.branch}",
            message=message_of(rewound),
            hint=hint,
        )
    if not found:
        yield Finding(id=CHECK, level=Level.OK, message="no run has found a branch rewound")
