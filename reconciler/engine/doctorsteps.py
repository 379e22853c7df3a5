"""All checks of `backstay doctor`, in the order of asking: what others need comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from reconciler.engine import (
    doctorcluster,
    doctorgit,
    doctorhooks,
    doctorinstallation,
    doctorinventory,
    doctorpolicies,
    doctorrepositories,
    doctorrewound,
    doctorsigning,
)
from reconciler.engine.doctor import Step
from reconciler.engine.doctorfacts import Facts
from reconciler.engine.doctorleftovers import observe_scene, runs_at_work
from reconciler.model.doctor import Finding
from reconciler.model.errors import BackstayError
from reconciler.plan.doctor import with_silence
from reconciler.plan.doctorleftovers import find_leftovers

_IN_CLUSTER = (
    "leftovers/mover", "leftovers/copy", "leftovers/credentials", "leftovers/lease",
    "leftovers/restore",
    "leftovers/restoring-claim", "leftovers/restoring-namespace", "leftovers/pending-run",
    "leftovers/hook",
)  # fmt: skip


def ask_leftovers(facts: Facts) -> Iterator[Finding]:
    """What lies in the cluster."""
    now = facts.ports.clock.now()
    scene = observe_scene(
        facts.cluster, namespace=facts.namespace, now=now, is_dead=facts.ports.is_dead
    )
    facts.found_scene = scene
    yield from with_silence(_IN_CLUSTER, tuple(find_leftovers(scene, policy=facts.policy)))


def ask_at_work(facts: Facts) -> Iterator[Finding]:
    """Before any branch is read; what can't be asked is told by the leftovers."""
    with suppress(BackstayError):
        now = facts.ports.clock.now()
        facts.at_work = runs_at_work(facts.cluster, facts.namespace, now)
    yield from ()


STEPS: tuple[Step, ...] = (
    Step(
        name="cluster",
        ids=("cluster/api", "versions/kubernetes"),
        ask=doctorcluster.ask_cluster,
    ),
    Step(name="clock", ids=("cluster/clock",), ask=doctorcluster.ask_clock, needs=("cluster",)),
    Step(name="programs", ids=("versions/git", "versions/restic"), ask=doctorcluster.ask_programs),
    Step(
        name="rights",
        ids=("rights/controller", "rights/run", "rights/you", "rights/restore"),
        ask=doctorcluster.ask_rights,
        needs=("cluster",),
    ),
    Step(
        name="restore account",
        ids=("rights/restore-account",),
        ask=doctorcluster.ask_restore_account,
        needs=("cluster",),
    ),
    Step(
        name="accounts",
        ids=("installation/accounts",),
        ask=doctorinstallation.ask_accounts,
        needs=("cluster",),
    ),
    Step(
        name="config",
        ids=("installation/config",),
        ask=doctorinstallation.ask_config,
        needs=("cluster",),
    ),
    Step(
        name="admission",
        ids=("installation/admission",),
        ask=doctorinstallation.ask_admission,
        needs=("cluster",),
    ),
    Step(
        name="controller",
        ids=("installation/controller", "versions/image"),
        ask=doctorinstallation.ask_controller,
        needs=("cluster",),
    ),
    Step(
        name="cycle",
        ids=("installation/cycle",),
        ask=doctorinstallation.ask_cycle,
        needs=("cluster",),
    ),
    Step(
        name="policies",
        ids=("git/policies", "policies/valid"),
        ask=doctorgit.ask_policies,
        needs=("cluster",),
    ),
    Step(name="manifests", ids=("git/manifests", "git/push"), ask=doctorgit.ask_manifests),
    Step(name="signing", ids=(doctorsigning.CHECK,), ask=doctorsigning.ask_signing),
    Step(
        name="inventory",
        ids=("git/inventory",),
        ask=doctorinventory.ask_inventory,
        needs=("cluster",),
    ),
    Step(
        name="cluster branch",
        ids=("git/cluster",),
        ask=doctorgit.ask_branch,
        needs=("cluster", "manifests"),
    ),
    Step(
        name="rewound",
        ids=(doctorrewound.CHECK,),
        ask=doctorrewound.ask_rewound,
        needs=("cluster",),
    ),
    Step(name="at work", ids=(), ask=ask_at_work, needs=("cluster",)),
    Step(
        name="branches",
        ids=("git/branches",),
        split=doctorgit.split_branches,
        at_a_time=1,
        needs=("manifests",),
    ),
    Step(
        name="secrets",
        ids=("repositories/secret",),
        ask=doctorrepositories.ask_secrets,
        needs=("policies", "cluster branch"),
    ),
    Step(
        name="repositories",
        ids=("repositories/open",),
        split=doctorrepositories.split_repositories,
        needs=("policies", "cluster branch"),
    ),
    Step(
        name="named snapshots",
        ids=("repositories/snapshots",),
        ask=doctorrepositories.ask_named_snapshots,
        needs=("branches", "repositories"),
    ),
    Step(
        name="writer",
        ids=("versions/backstay",),
        ask=doctorrepositories.ask_writer,
        needs=("branches",),
    ),
    Step(
        name="storage",
        ids=("storage/default-class", "storage/snapshot-classes"),
        ask=doctorpolicies.ask_storage,
        needs=("cluster",),
    ),
    Step(
        name="selection",
        ids=("policies/selection", "storage/claims"),
        ask=doctorpolicies.ask_selection,
        needs=("cluster", "policies"),
    ),
    Step(
        name="hooks",
        ids=(doctorhooks.CHECK,),
        ask=doctorhooks.ask_hooks,
        needs=("cluster", "policies"),
    ),
    Step(
        name="applied",
        ids=("policies/applied", "leftovers/configmap"),
        ask=doctorpolicies.ask_applied,
        needs=("cluster", "policies"),
    ),
    Step(
        name="runs",
        ids=("policies/schedule", "policies/last-run", "policies/overdue"),
        ask=doctorpolicies.ask_runs,
        needs=("applied", "branches"),
    ),
    Step(name="leftovers", ids=_IN_CLUSTER, ask=ask_leftovers, needs=("cluster",)),
    Step(
        name="stale",
        ids=("leftovers/restic-lock", "leftovers/bundles", "leftovers/snapshots"),
        ask=doctorrepositories.ask_stale,
        needs=("at work", "leftovers", "branches", "repositories"),
    ),
)
