"""Names and labels of what Backstay creates, cut and hashed to what Kubernetes takes.

The full name always stands in an annotation, so a cut one is never read back.
"""

from __future__ import annotations

import hashlib

GROUP = "backstay.dev"
COMPONENT = f"{GROUP}/component"
POLICY = f"{GROUP}/policy"
RUN = f"{GROUP}/run"
CLAIM = f"{GROUP}/claim"
NAMESPACE = f"{GROUP}/namespace"
"""On what copies a volume: the namespace of the claim, which need not be the object's own."""
HOME = f"{GROUP}/home"
"""On the same: Backstay's own namespace, where the copy of a snapshot is mounted."""
METHOD = f"{GROUP}/method"
"""On what copies a volume otherwise than directly: `Snapshot` or `Clone`."""
TAKEN = f"{GROUP}/taken"
"""On a mover of a copy: the moment that its data is of."""
REVISION = f"{GROUP}/revision"
DIGEST = f"{GROUP}/digest"
SOURCE = f"{GROUP}/source"
CLUSTER = f"{GROUP}/cluster"
"""On a schedule and its Jobs: the name of the cluster that they were made for."""
TIP = f"{GROUP}/tip"
"""On a Lease: a branch of the manifest store and the newest commit that was seen of it."""
REWOUND = f"{GROUP}/rewound"
"""On the same: which commits the branch has lost, until somebody has seen to it."""
CLUSTER_TIP_LEASE = "backstay-cluster-tip"
"""The Lease that remembers the tip of the cluster's own branch."""
RESTORING = f"{GROUP}/restoring"
"""On a claim or namespace that a restore has begun and not ended: see `restoring`."""
CAPTURED_COMPLETED = f"{GROUP}/captured-completed"
CAPTURED_PHASE = f"{GROUP}/captured-phase"
PRIVILEGED_MOVERS = f"{GROUP}/privileged-movers"
MANAGED_BY = "app.kubernetes.io/managed-by"
DEFAULT_NAMESPACE = "backstay-system"
CONFIG_FILE = "backstay.yaml"
"""What an installation's file, of kind Config, is called."""

_LONGEST_LABEL = 63
_LONGEST_CRONJOB = 52
_LONGEST_JOB = 63
_HASH = 8


def cut(name: str, longest: int) -> str:
    """``name`` if it fits, else its beginning, a dash and 8 hex digits of its SHA-256."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return name[: longest - _HASH - 1].rstrip("-._") + "-" + digest


def label_value(value: str) -> str:
    """A label's value: at most 63 characters."""
    return cut(value, _LONGEST_LABEL)


def cronjob_name(policy: str) -> str:
    """The CronJob of a policy; 52 characters leave room for the suffix of its Jobs."""
    return cut(f"backstay-{policy}", _LONGEST_CRONJOB)


def configmap_name(policy: str, digest: str) -> str:
    """The immutable ConfigMap of a compiled policy; ``digest`` is ``sha256:<hex>``."""
    short = digest.removeprefix("sha256:")[:10]
    return f"{cut(f'backstay-{policy}', _LONGEST_CRONJOB)}-{short}"


def lease_name(policy: str) -> str:
    """The Lease that lets one run of a policy work at a time."""
    return cut(f"backstay-run-{policy}", _LONGEST_JOB)


def tip_lease_name(policy: str) -> str:
    """The Lease that remembers the tip of a policy's branch; nobody holds it."""
    return cut(f"backstay-tip-{policy}", _LONGEST_JOB)


def mover_name(run_id: str, namespace: str, claim: str, kind: str = "backup") -> str:
    """The Job (and Secret) of one mover: the same task always has the same name."""
    digest = hashlib.sha256(f"{kind}\0{run_id}\0{namespace}\0{claim}".encode()).hexdigest()
    return f"backstay-{digest[:12]}"


def restoring(run_id: str, *, namespace: str, source: str = "") -> str:
    """The value of `RESTORING`: the run whose data ``namespace`` gets; ``<run>/<source>`` where it
    gets that of another namespace, so that nobody goes on with a third one's."""
    return run_id if source in ("", namespace) else f"{run_id}/{source}"


def restoring_of(mark: str) -> tuple[str, str]:
    """(run, source) of such a value; no source where it is the namespace itself."""
    run_id, _, source = mark.partition("/")
    return run_id, source


def labels(component: str, *, policy: str = "", run_id: str = "") -> dict[str, str]:
    """Labels of everything that Backstay creates; `COMPONENT` is what makes it ours."""
    found = {MANAGED_BY: "backstay", COMPONENT: component}
    if policy:
        found[POLICY] = label_value(policy)
    if run_id:
        found[RUN] = label_value(run_id)
    return found
