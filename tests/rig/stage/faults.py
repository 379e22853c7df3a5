"""Bad days, made on purpose: a run is watched line by line, and hit at a point that is known.

Nothing here waits for a length of time in the hope that it is the right one: servers are stopped
or frozen first, so that the run can't get past the point where it is to be hit.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.processes import kill, processes_with
from tests.rig.cluster.providers import Built
from tests.rig.gate import Gate
from tests.rig.servers import seaweedfs
from tests.rig.stage import breaking, logs
from tests.rig.stage.stage import NAMESPACE, Stage

TENANT = "shop"
OURS = "backstay.dev/component"
MOVER = "backstay-"
"""How the name of a mover's pod begins; a run's Job is called otherwise here."""
LONG = 600.0
"""Seconds that what comes may take on a machine with much to do."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's Job ended: the last pod's exit code, and what all its pods said."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Started:
    """A run's Job, from its start to its end."""

    stage: Stage
    job: str

    def pods(self) -> list[dict[str, Any]]:
        """Its pods, oldest first."""
        query = f"labelSelector=batch.kubernetes.io/job-name%3D{self.job}"
        found = self.stage.look(f"/api/v1/namespaces/{NAMESPACE}/pods?{query}")["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def said(self) -> str:
        """What its pods wrote so far."""
        if isinstance(self.stage.cluster.provider, Built):
            return logs.said(self.stage, f"{self.job}-*", NAMESPACE)
        names = [str(pod["metadata"]["name"]) for pod in self.pods()]
        return "\n".join(logs.said_by(self.stage, NAMESPACE, name) for name in names)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Its log lines with this message."""
        return [line for line in log_lines(self.said()) if line.get("event") == event]

    def wait_for(self, event: str, times: int = 1) -> dict[str, Any]:
        """The first line with this message, as soon as there are so many of them."""
        found = self.stage.wait(
            f"{self.job}: {event}",
            lambda: lines if len(lines := self.events(event)) >= times else None,
            seconds=LONG,
            every=0.05,
        )
        return dict(found[0])

    @property
    def run_id(self) -> str:
        """The run's id, as it said it."""
        return str(self.wait_for("run starts")["run"])

    def kill(self) -> str:
        """SIGKILL for the process of its youngest pod; returns the pod's name."""
        name = str(self.pods()[-1]["metadata"]["name"])
        kill_pod(name)
        return name

    def movers(self) -> list[dict[str, Any]]:
        """The Jobs of its movers that are there now."""
        path = f"/apis/batch/v1/namespaces/{TENANT}/jobs?labelSelector={OURS}%3Dmover"
        return [job for job in self.stage.look(path)["items"] if run_of(job) == self.run_id]

    def finish(self) -> Ended:
        """Waits for its end."""
        self.stage.wait(f"{self.job} ends", self._is_over, seconds=LONG)
        return Ended(_exit_code(self.pods()), self.said())

    def _is_over(self) -> bool:
        return is_over(self.stage.look(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{self.job}"))


def is_over(job: dict[str, Any]) -> bool:
    """Whether a Job came to an end, good or bad."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True"
               for one in conditions)  # fmt: skip


def log_lines(text: str) -> list[dict[str, Any]]:
    """The JSON documents of a log; what is half written, as the last line may be, is none."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, dict):
                found.append(document)
    return found


def start_run(stage: Stage, policy: str = "shop", *, deadline: int = 0) -> Started:
    """A Job as `kubectl create job --from` makes it; ``deadline`` in seconds shortens its life."""
    job = make_job(stage, policy)
    if deadline:
        job["spec"]["activeDeadlineSeconds"] = deadline
    return create_run(stage, job)


def make_job(stage: Stage, policy: str = "shop") -> dict[str, Any]:
    """The Job that a policy's CronJob would make now, not created yet."""
    text = stage.kubectl(
        "-n", NAMESPACE, "create", "job", f"--from=cronjob/backstay-{policy}",
        f"fault-{secrets.token_hex(3)}", "--dry-run=client", "-o", "json",
    )  # fmt: skip
    made: dict[str, Any] = json.loads(text)
    return made


def create_run(stage: Stage, job: dict[str, Any]) -> Started:
    """Starts a Job that `make_job` made, changed or not."""
    name = str(job["metadata"]["name"])
    stage.kubectl("create", "-f", "-", stdin=json.dumps(job))
    return Started(stage, name)


def run_of(raw: dict[str, Any]) -> str:
    """The run that an object of ours belongs to."""
    return str(raw["metadata"].get("annotations", {}).get("backstay.dev/run", ""))


def leftovers(stage: Stage) -> list[str]:
    """Jobs, pods and Secrets of ours in the application's namespace."""
    found = []
    for kind, api in (("Job", "apis/batch/v1"), ("Secret", "api/v1"), ("Pod", "api/v1")):
        path = f"/{api}/namespaces/{TENANT}/{kind.lower()}s?labelSelector={OURS}"
        found += [f"{kind}/{raw['metadata']['name']}" for raw in stage.look(path)["items"]]
    return found


def snapshots(stage: Stage, namespace: str, run_id: str) -> list[dict[str, Any]]:
    """What restic lists for a run."""
    listed = stage.restic(namespace, "snapshots", "--tag", f"run:{run_id}")
    return list(listed)


def kill_pod(name: str) -> None:
    """SIGKILL for the processes of a pod, as the kernel would when memory is short."""
    found = processes_with("HOSTNAME", name)
    if not found:
        raise RigError(f"no process of pod {name} on this machine")
    kill(found)


@contextlib.contextmanager
def changed_password(stage: Stage) -> Iterator[None]:
    """The Repository's Secret holds another master password for a while."""
    good = stage.folder / "credentials" / "restic-main"
    bad = stage.folder / "credentials" / "changed"
    shutil.copytree(good, bad, dirs_exist_ok=True)
    (bad / "RESTIC_PASSWORD").write_text(secrets.token_hex(32))
    try:
        stage.make_secret("restic-main", bad)
        yield
    finally:
        stage.make_secret("restic-main", good)
        shutil.rmtree(bad)


@contextlib.contextmanager
def s3_away(stage: Stage) -> Iterator[None]:
    """The storage refuses connections for a while."""
    server = _s3(stage)
    server.stop()
    try:
        yield
    finally:
        stage.s3 = seaweedfs.start(server.folder, address=server.address, port=server.port)


@contextlib.contextmanager
def s3_frozen(stage: Stage) -> Iterator[None]:
    """The storage takes connections and answers nothing: whoever copies, waits."""
    server = _s3(stage)
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextlib.contextmanager
def movers_frozen(stage: Stage, *, node: str = "node-1") -> Iterator[Started]:
    """A run on ``node`` whose movers are there, and have copied nothing: the storage is frozen.

    It thaws at the end. The movers can't begin before it is frozen, however late that is: pods get
    no node until then.
    """
    with contextlib.ExitStack() as frozen:
        with breaking.unscheduled(stage):
            started = start_run(stage)
            (pod,) = stage.wait("its pod is there", started.pods, seconds=LONG)
            breaking.bind(stage, NAMESPACE, pod["metadata"]["name"], node)
            started.wait_for("capturing")
            stage.wait("it has movers", started.movers, seconds=LONG)
            frozen.enter_context(s3_frozen(stage))
        yield started


def copied(gate: Gate) -> int:
    """How many movers' restics have stored their volume, since `Gate.forget`."""
    return sum(call.code == 0 for call in gate.calls("restic", "backup", pod=MOVER))


@contextlib.contextmanager
def last_mover_held(stage: Stage, gate: Gate, movers: int) -> Iterator[Started]:
    """A run one of whose movers is held before it copies, and the others have copied."""
    gate.forget()
    with gate.held("restic", "backup", pod=MOVER):
        started = start_run(stage)
        stage.wait("its other movers are done", lambda: copied(gate) == movers - 1, seconds=LONG)
        yield started


@contextlib.contextmanager
def git_away(stage: Stage) -> Iterator[None]:
    """The Git server refuses connections for a while."""
    stage.sshd.stop()
    try:
        yield
    finally:
        stage.sshd.start()


def _s3(stage: Stage) -> seaweedfs.SeaweedFS:
    if stage.s3 is None:
        raise RigError("the stage's servers do not run")
    return stage.s3


def _exit_code(pods: list[dict[str, Any]]) -> int:
    for pod in reversed(pods):
        for container in pod.get("status", {}).get("containerStatuses") or ():
            ended = container.get("state", {}).get("terminated")
            if ended:
                return int(ended["exitCode"])
    raise RigError("no pod of the run said how it ended")
