"""The checks of `backstay doctor`: their ids, what each asks, and what can be wrong. Pure.

Ids are stable. docs/doctor.md shows this very table, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.doctor import Finding, Level


@dataclass(frozen=True, slots=True)
class Check:
    """One id: what it asks, and the worst that it can say."""

    id: str
    asks: str
    worst: Level

    @property
    def group(self) -> str:
        """What ``--only`` names."""
        return self.id.partition("/")[0]


_P, _W, _I = Level.PROBLEM, Level.WARNING, Level.INFO

CHECKS: tuple[Check, ...] = (
    Check("cluster/api", "the API server answers, and who is asking", _P),
    Check("cluster/clock", "this machine's clock against the API server's", _P),
    Check("versions/kubernetes", "the API server's version against those that are tested", _P),
    Check("versions/backstay", "this program's version against that of the last run", _W),
    Check("versions/git", "git is here, and new enough", _P),
    Check("versions/restic", "restic is here, and 0.17.1 or newer", _P),
    Check("versions/image", "Config's image is the one that the controller runs", _W),
    Check("rights/controller", "every right that the controller's account needs", _P),
    Check("rights/run", "every right that a run's account needs", _P),
    Check("rights/you", "every right that you need for `plan`, `run` and this from here", _W),
    Check("rights/restore", "every right that you need to restore from here", _W),
    Check("rights/restore-account", "the account backstay-restore is bound only while wanted", _W),
    Check("installation/accounts", "the namespace and its service accounts are there", _P),
    Check("installation/config", "the cluster's Config names the same cluster as this one", _P),
    Check("installation/admission", "the admission policy for runs is there, as shipped", _P),
    Check("installation/controller", "the controller's Deployment is ready", _P),
    Check("installation/cycle", "the controller's last cycle is recent and went well", _P),
    Check("git/policies", "the policy repository can be read: ref and folder", _P),
    Check("git/manifests", "the manifest repository can be read", _P),
    Check("git/push", "the manifest repository takes pushes (asked, nothing is pushed)", _P),
    Check("git/signing", "the key that Config names for commits is there", _P),
    Check("git/cluster", "the branches there are this very cluster's", _P),
    Check("git/branches", "the newest commit of each branch was made by a run", _W),
    Check("git/rewound", "no branch has lost the tip that is remembered of it", _P),
    Check("git/inventory", "the inventory is this cluster's, and not older than a day", _P),
    Check("repositories/secret", "the Secret is there and may be used for the URL", _P),
    Check("repositories/open", "the restic repository opens, and is the recorded one", _P),
    Check("repositories/snapshots", "what the last good record names is there", _P),
    Check("storage/default-class", "there is one default StorageClass", _W),
    Check("storage/snapshot-classes", "volume snapshot classes (not used yet)", _I),
    Check("storage/claims", "every selected claim can be copied", _P),
    Check("policies/valid", "the policies have no problem", _P),
    Check("policies/applied", "the cluster's schedules are as the policies say", _W),
    Check("policies/selection", "each policy selects a namespace", _P),
    Check("policies/hooks", "a run's account may execute the hooks that policies have", _P),
    Check("policies/schedule", "the CronJob of each policy is there and not suspended", _W),
    Check("policies/last-run", "how the last run of each policy ended", _P),
    Check("policies/overdue", "no scheduled run was missed", _P),
    Check("leftovers/mover", "Jobs of movers whose run or restore is over", _W),
    Check("leftovers/copy", "copies of volumes whose run is over", _W),
    Check("leftovers/credentials", "Secrets of movers that are gone", _W),
    Check("leftovers/lease", "Leases whose holder was killed, or hangs", _W),
    Check("leftovers/hook", "pods in which a dead run left hooks open, or a post failed", _P),
    Check("leftovers/restore", "a restore at work, or one that was killed", _W),
    Check("leftovers/restoring-claim", "claims that a restore has not filled", _W),
    Check("leftovers/restoring-namespace", "namespaces that a restore has not finished", _W),
    Check("leftovers/pending-run", "runs whose pod does not start", _P),
    Check("leftovers/configmap", "compiled policies that nobody uses any more", _I),
    Check("leftovers/bundles", "runs that wait in restic, and are on no branch yet", _W),
    Check("leftovers/snapshots", "restic snapshots of runs that have no record", _I),
    Check("leftovers/restic-lock", "restic locks that nobody has renewed for 30 minutes", _P),
)
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))
IDS = frozenset(check.id for check in CHECKS)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """As the table has them, which is not the order of asking; of one check as they came."""
    places = {check.id: number for number, check in enumerate(CHECKS)}

    def place(found: Finding) -> int:
        identifier = found.id
        while identifier and identifier not in places:
            identifier = identifier.rpartition("/")[0]
        return places.get(identifier, len(places))

    return tuple(sorted(findings, key=place))


def with_silence(
    checks: Iterable[str], found: Sequence[Finding], *, silence: str = "none"
) -> tuple[Finding, ...]:
    """The findings, and an ok for each of these checks that found nothing."""
    said = {one.id for one in found}
    quiet = (
        Finding(id=check, level=Level.OK, message=silence) for check in checks if check not in said
    )
    return (*found, *quiet)
