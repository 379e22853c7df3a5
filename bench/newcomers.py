"""How soon a new application is in its policy's status, and what a controller costs while it waits.

    .venv/bin/python -m bench.newcomers --times 10 --policies 10
    .venv/bin/python -m bench.newcomers --times 0 --idle 4 --policies 10

Brings up a cluster of its own (`bench-newcomers`), and beside it the command `backstay controller`
with policies behind a real sshd, BackupPolicy objects, both watches and its pages; its interval is
twelve hours, so that nothing but the watch can tell it of anything.

- *one by one*: namespaces and claims by turns, each as soon as the one before is in the status: the
  hardest pace that a cycle after the other can be asked for;
- *at once*: as many namespaces with a claim each, made as fast as the API server takes them;
- *at its return*: one namespace with a claim that came while the controller was stopped; from its
  start, the interpreter's included;
- *idle* (minutes, with an interval of one minute): requests to the API server, as its own page of
  metrics counts them, and resident memory in the end.

Times are from before the object is sent to the API server until a reader that asks ten times a
second has seen the Event, and the new count in the policy's status.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reconciler.adapters.kube import KubeClient
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from tests.cluster.faroff import files, policy_yaml
from tests.cluster.test_controller_command import NAMESPACE, Installation, installed
from tests.cluster.test_watch_and_health import Controller
from tests.rig.cluster import paths, providers
from tests.rig.cluster.definitions import wait_established

WANTED = 5.0
_LONGEST = 600.0
_SELECTS = policy_yaml("news").replace(b"[news]", b'["news-*"]')
_REQUEST = re.compile(r"^backstay_api_requests_total\{.*\} (\S+)$", re.MULTILINE)


class Trial:
    """One controller beside a cluster, and a reader that watches what it writes."""

    def __init__(self, home: Installation, client: KubeClient, folder: Path) -> None:
        self._home, self._client, self._folder = home, client, folder
        self._made = 0

    def controller(self) -> Controller:
        """The command, at work once the watches' own first hints are done with."""
        self._made += 1
        folder = self._folder / f"controller-{self._made}"
        folder.mkdir()
        return Controller(self._home, folder)

    def settle(self, controller: Controller) -> None:
        """Until both watches have told of what is there, and no hint is left to follow."""
        until(lambda: controller.told("woken") and len(controller.told("cycle done")) > 1)
        cycles = -1
        while cycles != (cycles := len(controller.told("cycle done"))):
            time.sleep(20)

    def namespace(self, name: str) -> None:
        """A new one."""
        self._create("Namespace", {"name": name}, {})

    def claim(self, namespace: str) -> None:
        """A new one, of a class that nobody serves: that it exists is what counts here."""
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        self._create("PersistentVolumeClaim", {"name": "data", "namespace": namespace}, spec)

    def _create(self, kind: str, metadata: dict[str, str], spec: dict[str, Any]) -> None:
        body = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
        self._client.create(body | ({"spec": spec} if spec else {}))

    def counted(self) -> int:
        """Namespaces and claims in the status of the policy that selects them."""
        found = self._client.get(kinds.BACKUP_POLICIES, "news", namespace=NAMESPACE) or {}
        protected = (found.get("status") or {}).get("protected") or {}
        return int(protected.get("namespaces", 0)) + int(protected.get("claims", 0))

    def told(self, title: str) -> bool:
        """Whether an Event of the policy names it."""
        found = read_all(self._client, kinds.EVENTS, dict, namespace=NAMESPACE)
        notes = [str(one.get("message")) for one in found if one.get("reason") == "Protected"]
        return any(title in re.split(r": |, | and ", note) for note in notes)

    def measure(self, make: Callable[[], None], *titles: str) -> dict[str, float]:
        """Seconds until each is told, and until all are counted."""
        before, begun = self.counted(), time.monotonic()
        make()
        seconds: dict[str, float] = {}
        while len(seconds) < 2:
            if "event" not in seconds and all(map(self.told, titles)):
                seconds["event"] = time.monotonic() - begun
            if "status" not in seconds and self.counted() >= before + len(titles):
                seconds["status"] = time.monotonic() - begun
            if time.monotonic() - begun > _LONGEST:
                raise TimeoutError(f"{titles}: after {_LONGEST:.0f} s only {seconds}")
            time.sleep(0.1)
        return seconds


def one_by_one(trial: Trial, times: int) -> Iterator[dict[str, float]]:
    """A namespace, then its claim, and so on."""
    for number in range(times):
        name = f"news-{number}"
        yield trial.measure(lambda name=name: trial.namespace(name), f"namespace {name}")  # type: ignore[misc]
        yield trial.measure(lambda name=name: trial.claim(name), f"claim {name}/data")  # type: ignore[misc]


def at_once(trial: Trial, times: int) -> dict[str, float]:
    """All of them, before anybody looks."""
    names = [f"news-burst-{number}" for number in range(times)]

    def make() -> None:
        for name in names:
            trial.namespace(name)
            trial.claim(name)

    titles = [f"{kind} {name}{end}" for name in names
              for kind, end in (("namespace", ""), ("claim", "/data"))]  # fmt: skip
    return trial.measure(make, *titles)


def at_return(trial: Trial) -> dict[str, float]:
    """One that came while nobody looked."""
    trial.namespace("news-away")
    trial.claim("news-away")
    started: list[Controller] = []

    def start() -> None:
        started.append(trial.controller().__enter__())

    try:
        return trial.measure(start, "namespace news-away", "claim news-away/data")
    finally:
        for controller in started:
            stop(controller)


def newcomers(trial: Trial, times: int) -> dict[str, object]:
    """All three."""
    with trial.controller() as controller:
        trial.settle(controller)
        found = list(one_by_one(trial, times))
        trial.settle(controller)
        burst = at_once(trial, times)
        stop(controller)
    return {
        "one by one": {name: spread([one[name] for one in found]) for name in ("event", "status")},
        "within 5 s": sum(max(one.values()) <= WANTED for one in found),
        "of": len(found),
        "at once": {name: round(value, 2) for name, value in burst.items()},
        "at its return": {name: round(value, 2) for name, value in at_return(trial).items()},
    }


def idle(trial: Trial, minutes: float) -> dict[str, object]:
    """Requests a minute, and memory."""
    with trial.controller() as controller:
        trial.settle(controller)
        before = requests(controller)
        time.sleep(minutes * 60)
        asked = requests(controller) - before
        status = Path(f"/proc/{controller.process.pid}/status").read_text()
        (resident,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        stop(controller)
    return {"requests a minute": round(asked / minutes, 2), "resident MiB": int(resident) // 1024}


def requests(controller: Controller) -> float:
    """So far."""
    return sum(float(value) for value in _REQUEST.findall(controller.get("/metrics")[1]))


def spread(values: list[float]) -> dict[str, float]:
    """In the middle, and the worst."""
    return {"median": round(statistics.median(values), 2), "most": round(max(values), 2)}


def until(done: Callable[[], object]) -> None:
    """Looks twice a second."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - begun > _LONGEST:
            raise TimeoutError(f"still waiting after {_LONGEST:.0f} s")
        time.sleep(0.5)


def stop(controller: Controller) -> None:
    """As Kubernetes does."""
    controller.process.send_signal(signal.SIGTERM)
    controller.process.wait(timeout=_LONGEST)


def measure(home: Installation, client: KubeClient, folder: Path, policies: int) -> Trial:
    """A cluster with definitions and policies; all but one select what is not there."""
    crd = paths.REPOSITORY / "deploy/base/crd-backuppolicies.yaml"
    home.cluster.kubectl("apply", "--server-side", "-f", str(crd))
    wait_established(home.cluster.kubectl, "backuppolicies.backstay.dev")
    others = (f"other-{number}" for number in range(policies - 1))
    home.policies.push(files(*others, news=_SELECTS))
    return Trial(home, client, folder)


def main() -> None:
    """All of it, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.newcomers")
    parser.add_argument("--times", type=int, default=10, help="namespaces and claims of each kind")
    parser.add_argument("--idle", type=float, default=0.0, help="minutes to count requests for")
    parser.add_argument("--policies", type=int, default=10)
    options = parser.parse_args()
    provider = providers.open_cluster("bench-newcomers")
    cluster = providers.Cluster(provider)
    found: dict[str, object] = {"policies": options.policies}
    client = KubeClient.connect(cluster.kubeconfig, version="bench")
    try:
        with tempfile.TemporaryDirectory() as made, installed(cluster, Path(made)) as home:
            trial = measure(home, client, Path(made), options.policies)
            if options.times:
                home.config.write_text(
                    home.config.read_text().replace("interval: 10s", "interval: 12h")
                )
                found |= newcomers(trial, options.times)
            if options.idle:
                home.config.write_text(
                    re.sub(r"interval: \w+", "interval: 1m", home.config.read_text())
                )
                found |= idle(trial, options.idle)
    finally:
        client.close()
        provider.close()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
