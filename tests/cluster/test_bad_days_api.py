"""Bad days of the API server and of what is in it, as the controller meets them on a real one.

One installation for all: the policies `mail` and `shop`, shown as objects. Each test begins with
both in force. On fakes the same is struck at each call:
`tests/unit/engine/test_controller_struck.py`, `test_two_configs.py` and `test_mirror_trouble.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import faroff
from tests.cluster.faroff import files, policy_yaml
from tests.cluster.test_controller_command import (
    NAMESPACE,
    Installation,
    installed,
    lines,
    wait_for,
)
from tests.rig.cluster import paths
from tests.rig.cluster.definitions import wait_established, wait_gone
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import GIVEN, Built, Cluster
from tests.rig.proxies import ApiProxy, Reset
from tests.rig.stage import breaking

LEASE = "backstay-controller"
CRD = "backuppolicies.backstay.dev"
CRD_FILE = str(paths.REPOSITORY / "deploy/base/crd-backuppolicies.yaml")
PATIENCE = 300
CHANGED = faroff.cron(5)


@dataclass(frozen=True, slots=True)
class Scene:
    """The installation, a proxy before its API server, and what is in it."""

    home: Installation
    proxy: ApiProxy
    kubeconfig: Path

    def kubectl(self, *words: str) -> str:
        """In Backstay's namespace, not through the proxy."""
        return self.home.cluster.kubectl("-n", NAMESPACE, *words)

    def object(self, kind: str, name: str) -> dict[str, Any]:
        """One object as it is now."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def objects(self, *kinds: str) -> list[dict[str, Any]]:
        """All objects of some kinds."""
        text = self.kubectl("get", ",".join(kinds), "-o", "json")
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    def schedules(self) -> dict[str, str]:
        """CronJobs and their schedules."""
        return {o["metadata"]["name"]: o["spec"]["schedule"] for o in self.objects("cronjobs")}

    def versions(self) -> dict[str, Any]:
        """What changes with each write of a controller, its Lease's too, and not by others'."""
        found: dict[str, Any] = {}
        for raw in self.objects("cronjobs", "configmaps", CRD, "events", "leases"):
            metadata, version = raw["metadata"], raw["metadata"]["resourceVersion"]
            if raw["kind"] == "CronJob":  # its status is another controller's
                version = [metadata.get(key) for key in ("uid", "generation", "annotations")]
                version += [metadata["labels"], raw["spec"]]
            elif raw["kind"] == "Event" and raw["involvedObject"]["kind"] != "BackupPolicy":
                continue
            found[f"{raw['kind']}/{metadata['name']}"] = version
        return found

    def push(self, *, shop: str = faroff.CRON, **more: bytes) -> None:
        """A revision with `mail`, `shop` at this time, and more."""
        self.home.policies.push(files("mail", shop=policy_yaml("shop", shop), **more))

    def once(self, pod: str = "pod", *, code: int = 0, home: Installation | None = None) -> str:
        """One cycle of a controller in that pod, which ends with ``code``; what it says."""
        done = _in_pod(home or self.home, pod).run("controller", "--once")
        assert done.returncode == code, done.stderr
        return done.stderr

    def through_the_proxy(self, *words: str) -> list[str]:
        """A command line that uses the proxy's kubeconfig."""
        direct = str(self.home.cluster.kubeconfig)
        found = self.home.arguments(*words)
        return [str(self.kubeconfig) if word == direct else word for word in found]

    @contextlib.contextmanager
    def started(self) -> Iterator[Running]:
        """The loop, by way of the proxy; killed at the end of the block."""
        log = self.home.config.parent / "loop.log"
        argv = self.through_the_proxy("controller", "--listen", "127.0.0.1:0")
        with log.open("wb") as out:
            environment = _in_pod(self.home, "pod").environment
            process = subprocess.Popen(argv, env=environment, stderr=out, stdout=out)
        try:
            yield Running(log)
        finally:
            process.kill()
            process.wait()


def _in_pod(home: Installation, pod: str, uid: str = "uid") -> Installation:
    named = {"BACKSTAY_POD": pod, "BACKSTAY_POD_UID": uid}
    return replace(home, environment={**home.environment, **named})


@dataclass(frozen=True, slots=True)
class Running:
    """A controller at work."""

    log: Path

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this message."""
        return [line for line in lines(self.log.read_text()) if line["event"] == event]

    def ready(self) -> tuple[int, str]:
        """What /readyz says."""
        (listening,) = self.told("listening")
        connection = http.client.HTTPConnection("127.0.0.1", listening["port"], timeout=PATIENCE)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, ApiProxy, Path]]:
    """Return Backstay without policies, its definition, and a proxy before the API server."""
    if not isinstance(cluster.provider, Built):
        pytest.fail(f"only the rig's own API server can be broken: unset {GIVEN}")
    proxy = ApiProxy.of(cluster.provider.instance, tmp_path_factory.mktemp("proxy"))
    with installed(cluster, tmp_path_factory.mktemp("home")) as home, proxy:
        define(cluster)
        yield home, proxy, proxy.kubeconfig(cluster)
        cluster.kubectl("delete", "-f", CRD_FILE, "--ignore-not-found", "--timeout=300s")
        wait_gone(cluster.kubectl, CRD)


def define(cluster: Cluster) -> None:
    """Applies the definition of BackupPolicy objects."""
    cluster.kubectl("apply", "--server-side", "-f", CRD_FILE)
    wait_established(cluster.kubectl, CRD)


@pytest.fixture
def scene(installation: tuple[Installation, ApiProxy, Path]) -> Scene:
    """Return the installation with both policies in force."""
    scene = Scene(*installation)
    scene.push()
    scene.once()
    return scene


def test_a_busy_api_server_costs_a_cycle_time_and_nothing_else(scene: Scene) -> None:
    asked = {
        "GET": ("/backuppolicies", "/backstay-state", "/cronjobs", "/configmaps\\?", "/jobs"),
        "PATCH": ("/configmaps/", "/cronjobs/", "/backuppolicies/shop\\?", "/status"),
        "POST": ("/events", "/backuppolicies"),
        "PUT": ("/leases/",),
        "DELETE": ("/cronjobs/", "/backuppolicies/"),
    }
    scene.push(news=policy_yaml("news"))
    scene.once()
    scene.push(shop=CHANGED, docs=policy_yaml("docs"))
    answers = [scene.proxy.status(500), scene.proxy.status(429, retry_after=0), Reset()]
    wheres = [(method, where) for method, found in asked.items() for where in found]
    argv = scene.through_the_proxy("controller", "--once")
    with contextlib.ExitStack() as broken:
        rules = [
            broken.enter_context(
                scene.proxy.rule(method, where, answers[number % 3], agent="backstay")
            )
            for number, (method, where) in enumerate(wheres)
        ]
        done = subprocess.run(
            argv,
            env=_in_pod(scene.home, "pod").environment,
            check=False,
            capture_output=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    assert [where for rule, where in zip(rules, wheres, strict=True) if not rule.hits] == []
    assert set(scene.schedules()) == {"backstay-mail", "backstay-shop", "backstay-docs"}
    assert scene.schedules()["backstay-shop"] == CHANGED
    assert told_twice(scene) == []


def test_an_api_server_that_stays_busy_ends_a_cycle_and_the_next_one_makes_it_good(
    scene: Scene,
) -> None:
    scene.push(shop=CHANGED)
    busy = scene.proxy.status(429, retry_after=0)
    with (
        scene.proxy.rule("PATCH", "/cronjobs/backstay-shop", busy, times=0, agent="backstay"),
        scene.started() as running,
    ):
        wait_for(lambda: running.told("cycle failed"), running.log)
        (told, *_) = running.told("cycle failed")
        assert (told["step"], told["reason"]) == ("apply", "Transient")
        assert "HTTP 429" in told["error"]
        assert running.ready()[0] == 503
    assert scene.schedules()["backstay-shop"] == faroff.CRON
    scene.once()
    assert scene.schedules()["backstay-shop"] == CHANGED


def test_the_api_server_is_started_anew_in_the_middle_of_a_cycle(scene: Scene) -> None:
    before = {name: scene.object("cronjob", name)["metadata"] for name in scene.schedules()}
    scene.push(shop=CHANGED)
    where = ("PATCH", "/cronjobs/backstay-shop")
    with scene.proxy.held(*where, agent="backstay") as hold, scene.started() as running:
        hold.wait(PATIENCE)
        scene.proxy.forget()
        with breaking.apiserver_away(breaking.instance_below(scene.home.cluster)):
            hold.release()
            wait_for(lambda: scene.proxy.seen(*where), running.log)  # it is asked again
        wait_for(lambda: running.told("cycle done"), running.log)
        wait_for(lambda: shown(scene, "shop") == CHANGED, running.log)
    assert scene.schedules()["backstay-shop"] == CHANGED
    for name, was in before.items():
        now = scene.object("cronjob", name)["metadata"]
        changes = 1 if name == "backstay-shop" else 0
        assert (now["uid"], now["generation"]) == (was["uid"], was["generation"] + changes), name
    scene.once()  # the loop was killed, and may have had something to write
    assert told_twice(scene) == []
    versions = scene.versions()
    scene.once()
    assert scene.versions() == versions, "there is nothing left to do"


def shown(scene: Scene, policy: str) -> str:
    """The schedule that the policy's object says is in force."""
    path = "jsonpath={.status.schedule.cron}"
    return scene.kubectl("get", CRD, policy, "--ignore-not-found", "-o", path)


def told_twice(scene: Scene) -> list[tuple[str, ...]]:
    """Events that say the same of the same version of an object more than once."""
    found = Counter(
        (raw["involvedObject"]["name"], raw["reason"], raw["message"], str(raw.get("count")))
        for raw in scene.objects("events")
        if raw["involvedObject"]["kind"] == "BackupPolicy"
    )
    return [what for what, times in found.items() if times > 1]


def test_the_definition_is_deleted_under_the_controller_and_comes_back(scene: Scene) -> None:
    where = ("PATCH", "/backuppolicies/shop/status")
    scene.push(shop=CHANGED)
    with scene.proxy.held(*where, agent="backstay") as hold, scene.started() as running:
        hold.wait(PATIENCE)  # in the middle of a cycle
        scene.home.cluster.kubectl("delete", "-f", CRD_FILE, "--timeout=300s")
        hold.release()
        wait_for(lambda: not_served(running), running.log)
        assert "crd-backuppolicies.yaml" in not_served(running)[0]["hint"]
        said = "ok\npolicies are not shown as BackupPolicy objects; the log says why\n"
        wait_for(lambda: running.ready() == (200, said), running.log)
        scene.push(shop=faroff.cron(6))
        wait_for(lambda: scene.schedules()["backstay-shop"] == faroff.cron(6), running.log)
        define(scene.home.cluster)
        wait_for(lambda: shown(scene, "shop") == faroff.cron(6), running.log)
        wait_for(lambda: running.ready() == (200, "ok\n"), running.log)
    ready = ("--for=condition=Ready", f"{CRD}/shop", f"{CRD}/mail", "--timeout=300s")
    scene.kubectl("wait", *ready)


def not_served(running: Running) -> list[dict[str, Any]]:
    """What it says once the server knows no such kind; a moment before, there is no such object."""
    why = "does not serve BackupPolicy objects; schedules are kept"
    return [line for line in running.told("policies not shown") if why in line["why"]]


def test_what_others_have_set_is_told_and_left_and_what_they_removed_comes_back(
    scene: Scene,
) -> None:
    theirs = {"spec": {"schedule": faroff.cron(0)}}
    scene.kubectl(
        "patch", "cronjob", "backstay-shop", "--type=merge", "-p", json.dumps(theirs),
        "--field-manager=a-hand",
    )  # fmt: skip
    name = f"backstay-mail-{digest(scene, 'backstay-mail')}"
    with pytest.raises(RigError, match="immutable"):
        scene.kubectl("patch", "configmap", name, "-p", '{"data": {"policy.json": "{}"}}')
    scene.kubectl("delete", "configmap", name)
    object_of_theirs(scene, "news")
    before = scene.object(CRD, "news")
    scene.push(news=policy_yaml("news"))
    said = scene.once()
    (skipped,) = [line for line in lines(said) if line["event"] == "skipped"]
    assert "conflict: set by others, and Backstay does not force it" in skipped["why"]
    assert "spec.schedule by a-hand" in skipped["why"]
    assert scene.schedules()["backstay-shop"] == theirs["spec"]["schedule"]
    (made,) = [line for line in lines(said) if line.get("object") == f"ConfigMap/{name}"]
    assert "it is gone, and its schedule names it" in made["why"]
    assert scene.object("configmap", name)["immutable"] is True
    assert "a BackupPolicy that is not Backstay's has no effect" in said
    assert scene.schedules()["backstay-news"] == faroff.CRON

    versions = scene.versions()
    scene.once()
    assert scene.versions() == versions, "what can't be mended is no reason to write"
    assert scene.object(CRD, "news") == before
    assert "a-hand" in scene.kubectl("get", CRD, "shop", "-o", "wide")

    # The ways out that were told.
    scene.kubectl("delete", CRD, "news")
    hint = skipped["hint"].partition("kubectl ")[2].split()
    assert hint[2:4] == ["delete", "cronjob"]
    scene.home.cluster.kubectl(*hint)
    scene.once()
    assert scene.schedules()["backstay-shop"] == faroff.CRON
    assert shown(scene, "news") == faroff.CRON

    # Another policy under the name of the one that a schedule runs.
    good = scene.object("configmap", name)
    forged = json.loads(json.dumps(good))
    forged["metadata"] = {key: good["metadata"][key] for key in ("name", "namespace", "labels")}
    forged["data"] = dict.fromkeys(good["data"], "{}")
    scene.kubectl("delete", "configmap", name)
    scene.home.cluster.kubectl("create", "-f", "-", input=json.dumps(forged))
    (skipped,) = [line for line in lines(scene.once()) if line["event"] == "skipped"]
    assert skipped["object"] == f"ConfigMap/{name}"
    assert "delete it" in skipped["hint"]
    scene.kubectl("delete", "configmap", name)
    scene.once()
    assert scene.object("configmap", name)["data"] == good["data"]


def digest(scene: Scene, cron_job: str) -> str:
    """The end of the name of the ConfigMap that a CronJob names."""
    annotations = scene.object("cronjob", cron_job)["metadata"]["annotations"]
    return str(annotations["backstay.dev/digest"]).removeprefix("sha256:")[:10]


def object_of_theirs(scene: Scene, name: str) -> None:
    """Somebody applies a BackupPolicy as they would put it into Git."""
    metadata = {"name": name, "namespace": NAMESPACE}
    spec = {"schedule": {"cron": "1 1 * * *"}, "selector": {"namespaces": {"names": [name]}}}
    spec["retention"] = {"keepDaily": 7}
    body = {"apiVersion": "backstay.dev/v1alpha1", "kind": "BackupPolicy"}
    text = json.dumps(body | {"metadata": metadata, "spec": spec})
    scene.home.cluster.kubectl("apply", "-f", "-", input=text)


def test_of_two_configs_one_is_in_force_and_the_other_takes_over_when_its_pod_is_gone(
    scene: Scene, tmp_path: Path
) -> None:
    other_file = tmp_path / "backstay.yaml"
    other_file.write_text(scene.home.config.read_text().replace("busybox:1", "busybox:2"))
    scene.push(shop=CHANGED)
    with controller_pod(scene, "two") as second:
        other = _in_pod(replace(scene.home, config=other_file), "two", second)
        with controller_pod(scene, "one") as first:
            one = _in_pod(scene.home, "one", first)
            assert one.run("controller", "--once").returncode == 0
            before = scene.versions()
            stood_back = other.run("controller", "--once")
            assert stood_back.returncode == 1
            assert f"another controller, one/{first}, is there" in stood_back.stderr
            assert one.run("controller", "--once").returncode == 0
            assert scene.versions() == before, "nothing flaps"
        done = other.run("controller", "--once")
        assert done.returncode == 0, done.stderr
    template = scene.object("cronjob", "backstay-shop")["spec"]["jobTemplate"]["spec"]["template"]
    assert template["spec"]["containers"][0]["image"].endswith("busybox:2")


@contextlib.contextmanager
def controller_pod(scene: Scene, name: str) -> Iterator[str]:
    """A pod that nobody starts, and that says that it runs, for the block; gives its uid."""
    labels = {"backstay.dev/component": "controller"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    spec = {"schedulerName": "nobody", "containers": [{"name": "controller", "image": "none"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    scene.home.cluster.kubectl("apply", "-f", "-", input=json.dumps(body))
    runs = json.dumps({"status": {"phase": "Running"}})
    scene.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", runs)
    try:
        yield str(scene.object("pod", name)["metadata"]["uid"])
    finally:
        scene.kubectl("delete", "pod", name, "--grace-period=0", "--force")
