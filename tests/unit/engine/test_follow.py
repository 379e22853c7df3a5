"""A run from a terminal: the Job that it makes, and how that is followed."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.follow import follow_job, start_job
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.model.objects import ObjectRef
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.reporter import FakeReporter
from tests.unit.engine.run_world import SYSTEM, manifest

NAME = "backstay-shop-x"
JOB = manifest("batch/v1/Job", NAME, SYSTEM, spec={"template": {}})


class Terminal:
    """A cluster with a Job, somebody who follows it, and steps that happen while they sleep."""

    def __init__(self, *steps: Any) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(now=self.clock.now)
        self.cluster.put(manifest("Namespace", SYSTEM, ""))
        self.cluster.put(JOB)
        self.log = FakeReporter()
        self.lines: list[str] = []
        self._steps = list(steps)
        self.clock.on_sleep = self.step

    def step(self) -> None:
        if not self._steps:
            raise AssertionError("followed for ever")
        self._steps.pop(0)(self)

    def pod(self, name: str, *, code: int | None = None, phase: str = "Running") -> None:
        """Makes a pod of the Job, or ends it with an exit code."""
        state = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
        status = {"phase": phase, "containerStatuses": [{"name": "run", "state": state}]}
        labels = {"batch.kubernetes.io/job-name": NAME}
        self.cluster.put(manifest("Pod", name, SYSTEM, metadata={"labels": labels}, status=status))

    def say(self, name: str, *lines: str) -> None:
        text = self.cluster.log_lines.get((SYSTEM, name), "")
        self.cluster.log_lines[SYSTEM, name] = text + "".join(f"{line}\n" for line in lines)

    def end(self, kind: str) -> None:
        status = {"conditions": [{"type": kind, "status": "True"}]}
        self.cluster.edit(JOB, lambda raw: raw.update(status=status))

    def follow(self, reader: Any = None) -> int:
        return follow_job(
            reader or self.cluster,
            NAME,
            policy="shop",
            namespace=SYSTEM,
            clock=self.clock,
            reporter=self.log,
            tell=self.lines.append,
        )


def put_cronjob(cluster: FakeCluster) -> dict[str, Any]:
    cluster.put(manifest("Namespace", SYSTEM, ""))
    template = {
        "metadata": {"labels": {"backstay.dev/policy": "shop"}, "annotations": {"a": "b"}},
        "spec": {"backoffLimit": 3, "template": {"spec": {"restartPolicy": "Never"}}},
    }
    spec = {"schedule": "17 4 * * *", "jobTemplate": template}
    return cluster.put(manifest("batch/v1/CronJob", "backstay-shop", SYSTEM, spec=spec))


def test_a_job_is_made_as_kubectl_does() -> None:
    clock = FakeClock()
    cluster = FakeCluster(now=clock.now)
    cronjob = put_cronjob(cluster)
    name = start_job(cluster, cluster, "shop", namespace=SYSTEM, now=clock.now())
    (job,) = cluster.all("Job")
    assert job["metadata"]["name"] == name
    assert name.startswith("backstay-shop-")
    assert job["spec"] == cronjob["spec"]["jobTemplate"]["spec"]
    assert job["metadata"]["labels"] == {"backstay.dev/policy": "shop"}
    annotations = job["metadata"]["annotations"]
    assert annotations == {"a": "b", "cronjob.kubernetes.io/instantiate": "manual"}
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (cronjob["metadata"]["uid"], True)


def test_a_policy_without_its_schedule_is_refused_with_a_way_out() -> None:
    cluster = FakeCluster()
    with pytest.raises(Refused, match="no CronJob") as caught:
        start_job(cluster, cluster, "shop", namespace=SYSTEM, now=FakeClock().now())
    assert "backstay plan" in caught.value.hint


def test_lines_are_told_once_and_the_exit_code_is_the_pods() -> None:
    terminal = Terminal(
        lambda t: t.pod("a", phase="Pending"),
        lambda t: (t.pod("a"), t.say("a", "one", "two")),
        lambda t: t.say("a", "three"),
        lambda t: (t.say("a", "four"), t.pod("a", code=3, phase="Failed"), t.end("Failed")),
    )
    assert terminal.follow() == 3
    assert terminal.lines == ["one", "two", "three", "four"]


def test_a_lost_pods_successor_is_followed_and_its_end_counts() -> None:
    terminal = Terminal(
        lambda t: (t.pod("a"), t.say("a", "first")),
        lambda t: t.pod("a", code=137, phase="Failed"),
        lambda t: (t.clock.advance(10), t.pod("b"), t.say("b", "second")),
        lambda t: (t.pod("b", code=0, phase="Succeeded"), t.end("Complete")),
    )
    assert terminal.follow() == 0
    assert terminal.lines == ["first", "second"]


@pytest.mark.parametrize(("code", "found"), [(1, 1), (12, 12), (130, 130), (137, 1), (0, 1)])
def test_only_our_own_exit_codes_are_passed_on(code: int, found: int) -> None:
    terminal = Terminal(lambda t: (t.pod("a", code=code, phase="Failed"), t.end("Failed")))
    assert terminal.follow() == found


@pytest.mark.parametrize(("kind", "found"), [("Failed", 1), ("Complete", 0)])
def test_a_job_without_a_pod_left_tells_its_end(kind: str, found: int) -> None:
    assert Terminal(lambda t: t.end(kind)).follow() == found


def test_a_log_that_grows_beyond_what_is_read_is_told_whole() -> None:
    terminal = Terminal(
        lambda t: (t.pod("a"), t.say("a", *(f"line {n}" for n in range(1990)))),
        lambda t: t.say("a", *(f"line {n}" for n in range(1990, 2500))),
        lambda t: t.say("a", "same", "same"),
        lambda t: (t.pod("a", code=0), t.end("Complete")),
    )
    assert terminal.follow() == 0
    assert terminal.lines == [*(f"line {n}" for n in range(2500)), "same", "same"]


def test_a_pod_whose_log_cannot_be_read_does_not_end_it() -> None:
    terminal = Terminal(
        lambda t: (t.pod("a"), t.say("a", "one")),
        lambda t: (t.pod("a", code=0, phase="Succeeded"), t.end("Complete")),
    )

    class Deaf:
        def __init__(self) -> None:
            self.left = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(terminal.cluster, name)

        def logs(self, *args: Any, **named: Any) -> str:
            self.left -= 1
            if self.left == 0:
                raise Refused("HTTP 400: container is being created")
            return terminal.cluster.logs(*args, **named)

    assert terminal.follow(Deaf()) == 0
    assert terminal.lines == ["one"]


class Away:
    """A cluster that does not answer ``times`` times."""

    def __init__(self, terminal: Terminal, times: int) -> None:
        self._terminal = terminal
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal.cluster, name)

    def get(self, *args: Any, **named: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            raise Transient("connection refused")
        return self._terminal.cluster.get(*args, **named)


def test_a_cluster_that_is_away_for_a_moment_is_asked_again() -> None:
    terminal = Terminal(lambda _: None, lambda t: t.end("Complete"))
    assert terminal.follow(Away(terminal, 2)) == 0


def test_a_cluster_that_stays_away_ends_it() -> None:
    terminal = Terminal(*[lambda _: None] * 100)
    with pytest.raises(Transient, match="connection refused"):
        terminal.follow(Away(terminal, 1000))


def test_a_job_that_is_gone_is_told() -> None:
    terminal = Terminal(
        lambda t: t.cluster.delete(
            ObjectRef(group="batch", kind="Job", namespace=SYSTEM, name=NAME)
        )
    )
    with pytest.raises(Refused, match="is gone") as caught:
        terminal.follow()
    assert caught.value.hint == "see: backstay log shop"


def test_an_interrupt_ends_the_following_and_says_that_the_job_goes_on() -> None:
    def interrupt(_: Terminal) -> None:
        raise KeyboardInterrupt

    terminal = Terminal(interrupt)
    with pytest.raises(Interrupted, match="goes on in the cluster") as caught:
        terminal.follow()
    assert caught.value.exit_code == 130
    for command in (
        f"kubectl logs -n {SYSTEM} -f job/{NAME}",
        "backstay log shop;",
        f"kubectl delete job -n {SYSTEM} {NAME}",
    ):
        assert command in caught.value.hint
    assert terminal.cluster.all("Job"), "only the following ended"
