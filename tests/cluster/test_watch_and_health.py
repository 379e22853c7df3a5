"""The watch on a real API server, and the controller that it wakes, looked at from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.kube import KubeClient
from reconciler.adapters.kubeconfig import from_kubeconfig
from reconciler.adapters.kubetransport import Transport
from reconciler.adapters.kubewatch import KubeWatch
from reconciler.engine.reflector import Reflector
from reconciler.model import kinds
from reconciler.model.cluster import Namespace
from reconciler.model.objects import ObjectRef
from reconciler.plan.observe import namespace_of
from tests.cluster.faroff import files, policy_yaml
from tests.cluster.test_controller_command import (
    NAMESPACE,
    Installation,
    home,
    lines,
    shown,
    wait_for,
)
from tests.contract.watch_suite import WatchContract, WatchWorld
from tests.fakes.reporter import FakeReporter
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Built, Cluster
from tests.rig.proxies import ApiProxy
from tests.rig.proxies.rules import Cut, Reset

__all__ = ["home", "shown"]
PATIENCE = 300
LONG_AGO = "1"


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProxy]:
    """Return a proxy in front of the API server."""
    if not isinstance(cluster.provider, Built):
        raise RigError("only an apiserver of the rig's own can be put behind a proxy")
    proxy = ApiProxy.of(cluster.provider.instance, tmp_path_factory.mktemp("proxy"))
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def watch(cluster: Cluster, proxy: ApiProxy) -> Iterator[KubeWatch]:
    """Return the adapter, by way of the proxy; its watches end after seconds, not minutes."""
    found = from_kubeconfig(proxy.kubeconfig(cluster), None)
    transport = Transport(found, clock=SystemClock(), user_agent="backstay/test")
    watch = KubeWatch(transport, seconds=5)
    yield watch
    watch.end()
    transport.close()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    """Return who changes things, by the direct way."""
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


@pytest.fixture
def watched(client: KubeClient, watch: KubeWatch, proxy: ApiProxy) -> Iterator[WatchWorld]:
    """Return a namespace of the test's own, watched."""
    name = f"watched-{uuid.uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    with contextlib.ExitStack() as broken:

        def old() -> str:
            # Whether the server still knows a version is its own affair; here it does not.
            target = rf"watch=true.*resourceVersion={LONG_AGO}&"
            broken.enter_context(proxy.rule("GET", target, proxy.status(410), times=0))
            return LONG_AGO

        # Its own ConfigMap comes when the cluster has time for it, and is no part of a test.
        world = WatchWorld(watch=watch, writer=client, namespace=name, old=old)
        certificate = "kube-root-ca.crt"
        for _ in range(PATIENCE * 10):
            if client.get(kinds.CONFIG_MAPS, certificate, namespace=name):
                break
            threading.Event().wait(0.1)
        yield world
    client.delete(ObjectRef(group="", kind="Namespace", name=name))


class TestWatch(WatchContract):
    """On a real API server."""


def test_a_reflector_comes_back_from_whatever_befalls_its_connection(
    client: KubeClient, watch: KubeWatch, proxy: ApiProxy, tmp_path: Path
) -> None:
    stop, name = threading.Event(), f"kept-{uuid.uuid4().hex[:8]}"
    reflector: Reflector[Namespace] = Reflector(
        watch, kinds.NAMESPACES, namespace_of, changed=lambda: None, reporter=FakeReporter()
    )
    thread = threading.Thread(target=reflector.run, args=(stop.wait,), daemon=True)
    thread.start()

    def there() -> set[str]:
        return {found.name for found in reflector.known() or () if found.name.startswith(name)}

    made: set[str] = set()
    faults = (None, Reset(), Cut(after=40), proxy.status(410), proxy.status(429))
    try:
        for number, fault in enumerate(faults):
            with contextlib.ExitStack() as broken:
                if fault is not None:
                    rule = proxy.rule("GET", r"/api/v1/namespaces\?watch=true", fault)
                    hit = broken.enter_context(rule)
                    wait_for(lambda hit=hit: hit.hits == 1, tmp_path)
                made.add(f"{name}-{number}")
                body = {"name": f"{name}-{number}"}
                client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": body})
                wait_for(lambda: there() == made, tmp_path)
    finally:
        stop.set()
        for each in made:
            client.delete(ObjectRef(group="", kind="Namespace", name=each))


class Controller:
    """The command, at work beside a cluster, with its log and its pages."""

    def __init__(self, home: Installation, folder: Path) -> None:
        self._home = home
        self.log = folder / "log"

    def __enter__(self) -> Self:
        command = self._home.arguments("controller", "--listen", "127.0.0.1:0")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command, env=self._home.environment, stderr=out, stdout=out
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of one kind."""
        return [line for line in lines(self.log.read_text()) if line["event"] == event]

    def get(self, path: str) -> tuple[int, str]:
        """A page."""
        (listening,) = self.told("listening")
        connection = http.client.HTTPConnection("127.0.0.1", listening["port"], timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def told_of(home: Installation) -> list[str]:
    """Notes of the Events with the reason Protected."""
    found = home.cluster.kubectl("-n", NAMESPACE, "get", "events", "-o", "json")
    return [one["message"] for one in json.loads(found)["items"] if one["reason"] == "Protected"]


def test_a_new_application_is_noticed_though_the_timer_is_far_off(
    shown: Installation, client: KubeClient, tmp_path: Path
) -> None:
    home = shown
    name = f"news-{uuid.uuid4().hex[:8]}"
    home.config.write_text(home.config.read_text().replace("interval: 10s", "interval: 12h"))
    selects = policy_yaml("news").replace(b"[news]", f'["{name}-*"]'.encode())
    home.policies.push(files(news=selects))
    made = [f"{name}-mine", name]
    try:
        with Controller(home, tmp_path) as controller:
            # The watches' own first lists are hints; after these the timer is twelve hours off.
            wait_for(lambda: controller.told("woken"), controller.log)
            wait_for(lambda: len(controller.told("cycle done")) > 1, controller.log)
            for each in made:
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}}
                client.create(body)
            seen = {f"namespace {each}" for each in made}
            wait_for(
                lambda: seen <= {line["what"] for line in controller.told("new application")},
                controller.log,
            )
            told = controller.told("new application")
            verdicts = {line["what"]: line["verdict"] for line in told}
            assert verdicts[f"namespace {made[0]}"].startswith(
                "protected by news from its next run at "
            )
            assert verdicts[f"namespace {made[1]}"] == "unprotected: no policy selects it"

            counted = ("--for=jsonpath={.status.protected.namespaces}=1", "backuppolicy/news")
            wait = ("-n", NAMESPACE, "wait", *counted, f"--timeout={PATIENCE}s")
            home.cluster.kubectl(*wait)
            note = f"namespace {made[0]}: protected by news from its next run at "
            wait_for(lambda: [n.startswith(note) for n in told_of(home)] == [True], controller.log)

            assert controller.get("/healthz") == (200, "ok\n")
            assert controller.get("/readyz") == (200, "ok\n")
            status, text = controller.get("/metrics")
            assert status == 200
            assert 'backstay_policy_next_run_timestamp_seconds{policy="news"}' in text
            assert "backstay_revision_current 1.0" in text
            assert 'backstay_wakeups_total{by="namespaces"}' in text
            controller.process.send_signal(signal.SIGTERM)
            assert controller.process.wait(timeout=PATIENCE) == 0, controller.log.read_text()
    finally:
        for each in made:
            client.delete(ObjectRef(group="", kind="Namespace", name=each))
