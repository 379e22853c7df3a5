"""All checks of `backstay doctor`, in the order of asking: what others need comes first."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine import doctorcluster
from reconciler.engine.doctor import Step
from reconciler.engine.doctorfacts import Facts
from reconciler.engine.doctorleftovers import observe_scene
from reconciler.model.doctor import Finding
from reconciler.plan.doctor import with_silence
from reconciler.plan.doctorleftovers import find_leftovers

_IN_CLUSTER = (
    "leftovers/mover", "leftovers/credentials", "leftovers/lease", "leftovers/restore",
    "leftovers/restoring-claim", "leftovers/pending-run",
)  # fmt: skip


def ask_leftovers(facts: Facts) -> Iterator[Finding]:
    """What lies in the cluster."""
    now = facts.ports.clock.now()
    scene = observe_scene(facts.cluster, namespace=facts.namespace, now=now)
    facts.found_scene = scene
    yield from with_silence(_IN_CLUSTER, tuple(find_leftovers(scene, policy=facts.policy)))


STEPS: tuple[Step, ...] = (
    Step(
        name="cluster",
        ids=("cluster/api", "versions/kubernetes"),
        ask=doctorcluster.ask_cluster,
    ),
    Step(name="clock", ids=("cluster/clock",), ask=doctorcluster.ask_clock, needs=("cluster",)),
    Step(
        name="programs",
        ids=("versions/git", "versions/restic"),
        ask=doctorcluster.ask_programs,
    ),
    Step(
        name="rights",
        ids=("rights/controller", "rights/run", "rights/restore"),
        ask=doctorcluster.ask_rights,
        needs=("cluster",),
    ),
    Step(
        name="restore-account",
        ids=("rights/restore-account",),
        ask=doctorcluster.ask_restore_account,
        needs=("cluster",),
    ),
    Step(name="leftovers", ids=_IN_CLUSTER, ask=ask_leftovers, needs=("cluster",)),
)
