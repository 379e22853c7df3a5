"""When a stage is at peace: nothing that a module did to it is still at work, and all is well.

One stage serves many modules of a process, in an order that depends on how fast the others are. So
what disturbs it does not end before this has been seen.
"""

from __future__ import annotations

from typing import Any

from reconciler.model.run import Outcome
from tests.rig.stage import faults, logs, runs
from tests.rig.stage.stage import NAMESPACE, Stage

CONTROLLER = "backstay.dev/component%3Dcontroller"
GOOD_CYCLES = 2
"""The first of them may have begun before, and have read what is no longer so."""
_ENDS = ("cycle done", "cycle failed", "cycle ended early")


def wait_for(stage: Stage) -> None:
    """Until no run is at work, nothing of one is left, and the controller finds all in order.

    The newest run is a Completed one then: where a test failed, one more is made.
    """
    stage.wait("no run is at work", lambda: not running(stage), seconds=faults.LONG)
    what = "nothing of a run is left in the application"
    stage.wait(what, lambda: not faults.leftovers(stage), seconds=faults.LONG)
    if runs.Run(stage).record.outcome is not Outcome.COMPLETED:
        runs.run_again(stage)
    stage.git("ls-remote", stage.captures_url)
    pod, ended = _told(stage)
    stage.wait(
        "two good cycles of the controller",
        lambda: _is_good(stage, pod, len(ended)),
        seconds=faults.LONG,
    )
    stage.wait("the policies are in force", lambda: _is_in_force(stage), seconds=faults.LONG)


def running(stage: Stage) -> list[str]:
    """The runs' Jobs that have not ended."""
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?labelSelector={faults.OURS}%3Drun"
    jobs = stage.look(path)["items"]
    return [str(job["metadata"]["name"]) for job in jobs if not faults.is_over(job)]


def _told(stage: Stage) -> tuple[str, list[dict[str, Any]]]:
    """The controller's only pod and the ends of its cycles, oldest first; nothing without one."""
    pods = stage.look(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={CONTROLLER}")["items"]
    if len(pods) != 1 or "deletionTimestamp" in pods[0]["metadata"]:
        return "", []
    name = str(pods[0]["metadata"]["name"])
    text = logs.said_by(stage, NAMESPACE, name)
    return name, [line for line in faults.log_lines(text) if line.get("event") in _ENDS]


def _is_good(stage: Stage, pod: str, before: int) -> bool:
    now, ended = _told(stage)
    news = ended[before if now == pod else 0 :]
    good = [line["event"] == "cycle done" and not line.get("problems") for line in news]
    return len(good) >= GOOD_CYCLES and all(good[-GOOD_CYCLES:])


def _is_in_force(stage: Stage) -> bool:
    """Whether each policy's object says that all is well with it."""
    for policy in stage.objects("-n", NAMESPACE, "backuppolicies"):
        conditions = (policy.get("status") or {}).get("conditions") or ()
        # The other two are there only while they are true.
        if [(one["type"], one["status"]) for one in conditions] != [("Ready", "True")]:
            return False
    return True
