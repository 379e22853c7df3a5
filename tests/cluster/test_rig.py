"""The rig's cluster is a real one, keeps to itself, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import leftovers
from tests.rig.cluster import images, instance, lifecycle, network, paths, processes
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.machine import MARK
from tests.rig.cluster.providers import GIVEN, Built, Cluster

WORKLOADS = Path(__file__).parent / "rig-workloads.yaml"
NAMESPACE = "rig"


@pytest.fixture(scope="module")
def workloads(cluster: Cluster) -> Iterator[Cluster]:
    """Apply one of everything and wait until the pods are ready."""
    cluster.create_namespace(NAMESPACE)
    cluster.kubectl("apply", "--server-side", "-f", str(WORKLOADS))
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "statefulset/store", "--timeout=300s")
    cluster.kubectl(
        "-n", NAMESPACE, "wait", "--for=condition=Ready", "pod/client", "--timeout=300s"
    )
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=300s")


def own(cluster: Cluster) -> Instance:
    """The session's instance; these tests are about the rig's own clusters."""
    if not isinstance(cluster.provider, Built):
        pytest.skip(f"{GIVEN} is set, and the cluster it names is not the rig's")
    return cluster.provider.instance


def shell_in(cluster: Cluster, pod: str, script: str) -> str:
    """Run a script in a pod of the namespace."""
    return cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "sh", "-c", script)


def test_default_class_gives_each_replica_a_volume(workloads: Cluster) -> None:
    for pod in ("store-0", "store-1"):
        assert shell_in(workloads, pod, "cat /data/name").strip() == pod
    claims = json.loads(workloads.kubectl("-n", NAMESPACE, "get", "pvc", "-o", "json"))["items"]
    assert {claim["spec"]["storageClassName"] for claim in claims} == {"local-path"}
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}


def test_logs_come_through_the_apiserver(workloads: Cluster) -> None:
    assert "store-0 serves" in workloads.kubectl("-n", NAMESPACE, "logs", "store-0")


def test_service_address_and_environment_reach_their_pods(workloads: Cluster) -> None:
    address = workloads.kubectl(
        "-n", NAMESPACE, "get", "service", "store", "-o", "jsonpath={.spec.clusterIP}"
    )
    ask = f"timeout 60 wget -qO- http://{address}/name"
    # A pod that is ready is behind its Service a moment later: two controllers pass it on.
    _wait_for(lambda: bool(shell_in(workloads, "client", f"{ask} || true").strip()))
    for _ in range(5):
        assert shell_in(workloads, "client", ask).strip() in {"store-0", "store-1"}
    api = "timeout 60 nc $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo there"
    assert shell_in(workloads, "client", api).strip() == "there"


def test_pods_that_come_and_go_do_not_move_the_others_gateway(workloads: Cluster) -> None:
    """Else what a pod sends is lost until it asks for its gateway's hardware address anew."""
    if not isinstance(workloads.provider, Built):
        return  # a given cluster's network is its own
    there = workloads.provider.instance
    (node,) = (member for member in there.members() if member.name == "node-1")
    (bridge,) = json.loads(node.machine.enter(["ip", "-json", "link", "show", "dev", "cni0"]))
    assert bridge["address"] == network.hardware(there.network.pods_of(1)[1])
    (switch,) = (one for one in network.links() if one["ifname"] == there.network.bridge)
    assert switch["address"] == network.hardware(there.network.host)


def test_cron_job_makes_jobs_that_complete(workloads: Cluster) -> None:
    workloads.kubectl("-n", NAMESPACE, "create", "job", "once", "--from=cronjob/tick")
    workloads.kubectl(
        "-n", NAMESPACE, "wait", "--for=condition=Complete", "job/once", "--timeout=300s"
    )
    assert workloads.kubectl("-n", NAMESPACE, "logs", "job/once").strip() == "tick"


def test_pod_security_refuses_a_root_pod(workloads: Cluster) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    workloads.create_namespace("rig-strict")
    try:
        workloads.kubectl("label", "namespace", "rig-strict", label)
        with pytest.raises(RigError, match=r"violates PodSecurity.*restricted"):
            workloads.kubectl("-n", "rig-strict", "run", "root", f"--image={images.BUSYBOX}")
    finally:
        workloads.kubectl("delete", "namespace", "rig-strict", "--timeout=300s")


def test_pods_reach_this_machine_by_the_host_address(workloads: Cluster) -> None:
    with socket.create_server((workloads.host_address, 0)) as server:
        port = server.getsockname()[1]
        answering = threading.Thread(target=_answer_once, args=(server,), daemon=True)
        answering.start()
        said = shell_in(workloads, "client", f"timeout 60 nc {workloads.host_address} {port}")
        answering.join()
    assert said == "hello from outside"


def _answer_once(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.sendall(b"hello from outside")


def test_nothing_else_can_be_reached(workloads: Cluster) -> None:
    script = "ping -c 1 -W 2 192.0.2.1 >/dev/null 2>&1 || echo unreachable"
    assert shell_in(workloads, "client", script).strip() == "unreachable"
    lookup = "nslookup example.com 2>&1 || true"
    assert "refused" in shell_in(workloads, "client", lookup)
    for machine in own(workloads).machines():
        with pytest.raises(RigError, match="unreachable"):
            machine.enter(["ip", "route", "get", "192.0.2.1"])


def test_image_is_loaded_under_its_name(workloads: Cluster, tmp_path: Path) -> None:
    mine = images.Image("localhost/backstay-rig/made-here:7", tmp_path / "mine.tar")
    images.make(mine, images.program(), ["--cmd", "sh"])
    workloads.load_image(mine.archive, mine.name)
    command = ["run", "made-here", f"--image={mine.name}", "--restart=Never", "--", "echo", "ran"]
    workloads.kubectl("-n", NAMESPACE, *command)
    done = "--for=jsonpath={.status.phase}=Succeeded"
    workloads.kubectl("-n", NAMESPACE, "wait", done, "pod/made-here", "--timeout=300s")
    with pytest.raises(RigError, match="does not hold localhost/other"):
        workloads.load_image(mine.archive, "localhost/other:1")


def test_up_again_says_so_and_changes_nothing(cluster: Cluster) -> None:
    known = own(cluster)
    before = leftovers.processes_of(known)
    assert lifecycle.up(known.name) == known
    assert set(leftovers.by_name(leftovers.processes_of(known), "kube-apiserver")) <= set(before)


# How a cluster ends: what is killed before `down`.


def _nothing(_known: Instance) -> None:
    """End it in order."""


def _services(known: Instance) -> None:
    """Kill etcd, kubelet and containerd, and do not wait for their restart."""
    running = leftovers.processes_of(known)
    for name in ("etcd", "kubelet", "containerd"):
        processes.kill(leftovers.by_name(running, name))


def _init(known: Instance) -> None:
    """Kill each machine's process 1."""
    for machine in known.machines():
        assert machine.init
        processes.kill([machine.init])


def _record(known: Instance) -> None:
    """Lose the records of the machines' processes."""
    for machine in known.machines():
        (machine.state / "processes.json").unlink()


@pytest.mark.parametrize("damage", [_nothing, _services, _init, _record])
def test_down_leaves_nothing_behind(cluster: Cluster, damage: Callable[[Instance], None]) -> None:
    name = f"test-{os.getpid()}-down"
    before = leftovers.look(name)
    with ended(name):
        known = lifecycle.up(name, nodes=2)
        second = Cluster(Built(known))
        second.kubectl("apply", "--server-side", "-f", str(WORKLOADS))
        second.kubectl("-n", NAMESPACE, "rollout", "status", "statefulset/store", "--timeout=300s")
        running = leftovers.processes_of(known)
        assert len(leftovers.by_name(running, "httpd")) >= 2, "containers are seen"
        seen = {line.split()[0] for line in leftovers.look(name) - before}
        assert seen >= {"link", "addr", "route", "cgroup", "state"}, "the comparison sees it"
        damage(known)
        assert lifecycle.down(name)
    assert not [process for process in running if process.alive()]
    assert not leftovers.new_since(before, name)
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok", "the other cluster is untouched"
    assert not lifecycle.down(name), "there is nothing more to take down"


@contextmanager
def ended(name: str) -> Iterator[None]:
    """Take the instance down also when the test fails."""
    try:
        yield
    finally:
        lifecycle.down(name)


def test_nodes_of_one_cluster_reach_each_others_pods() -> None:
    name = f"test-{os.getpid()}-two"
    with ended(name):
        second = Cluster(Built(lifecycle.up(name, nodes=2)))
        second.kubectl("apply", "--server-side", "-f", str(WORKLOADS))
        second.kubectl("-n", NAMESPACE, "rollout", "status", "statefulset/store", "--timeout=300s")
        pods = json.loads(second.kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]
        stores = {pod["metadata"]["name"]: pod for pod in pods}
        assert stores["store-0"]["spec"]["nodeName"] != stores["store-1"]["spec"]["nodeName"]
        address = stores["store-1"]["status"]["podIP"]
        answer = shell_in(second, "store-0", f"timeout 60 wget -qO- http://{address}:8080/name")
        assert answer.strip() == "store-1"


def cli(*args: str) -> subprocess.Popen[str]:
    """Start scripts/cluster's program."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.rig.cluster.cli", *args],
        cwd=paths.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(*args: str) -> tuple[int, str]:
    """Run scripts/cluster's program to its end."""
    with cli(*args) as process:
        return process.wait(400), process.stdout.read() if process.stdout else ""


def test_up_that_was_killed_is_cleared_by_the_next() -> None:
    name = f"test-{os.getpid()}-half"
    before = leftovers.look(name)
    with ended(name):
        with cli("up", "--name", name) as first:
            _wait_for(lambda: bool(_machines_of(name)))
            first.kill()
        assert output("status", "--name", name)[0] == 1, "half of a cluster is not up"
        code, said = output("up", "--name", name)
        assert (code, "left behind; clearing it" in said) == (0, True), said
        code, said = output("status", "--name", name)
        assert (code, f"{name} is up" in said) == (0, True), said
        assert name in {found["name"] for found in json.loads(output("status", "--json")[1])}
        path = output("kubeconfig", "--name", name)[1].strip()
        assert (
            Path(path).read_text().strip()
            == output("kubeconfig", "--raw", "--name", name)[1].strip()
        )
        assert output("down", "--name", name) == (0, f"{name} is down\n")
    assert not leftovers.new_since(before, name)
    assert output("kubeconfig", "--name", name)[0] == 1


OWNER = """
import os, sys, time
from tests.rig.cluster import lifecycle
from tests.rig.cluster.processes import Process
lifecycle.up(sys.argv[1], owner=Process.of(os.getpid()))
print("up", flush=True)
time.sleep(600)
"""


def test_cluster_dies_with_the_test_run_that_owned_it() -> None:
    name = f"test-{os.getpid()}-owned"
    before = leftovers.look(name)
    with ended(name):
        command = [sys.executable, "-c", OWNER, name]
        with subprocess.Popen(
            command,
            cwd=paths.REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as owner:
            assert owner.stdout
            assert owner.stdout.readline() == "up\n"
            known = instance.load(name)
            assert known
            running = leftovers.processes_of(known)
            owner.send_signal(signal.SIGKILL)
        _wait_for(lambda: not any(process.alive() for process in running))
        lifecycle.sweep()
        assert instance.load(name) is None
    assert not leftovers.new_since(before, name)


def test_service_that_dies_is_started_again(cluster: Cluster) -> None:
    known = own(cluster)
    (scheduler,) = leftovers.by_name(leftovers.processes_of(known), "kube-scheduler")
    before = known.control.services()["kube-scheduler"]["starts"]
    processes.kill([scheduler])
    # The process is there a moment before process 1 has written it down.
    _wait_for(lambda: known.control.services()["kube-scheduler"]["starts"] == before + 1)
    _wait_for(lambda: bool(leftovers.by_name(leftovers.processes_of(known), "kube-scheduler")))


def test_bridge_without_an_instance_is_removed() -> None:
    with instance.locked(""):  # as `up` does: nobody else takes these addresses meanwhile
        block = network.free_block([known.block for known in instance.all_known()])
        lost = network.Network(block)
        owner = paths.state() / "no-such-instance"
        network.raise_bridge(lost, str(owner))
    lifecycle.sweep()
    # Another process may have swept it away before, and have a bridge of that name by now.
    assert f"{network.ALIAS}{owner}" not in {link.get("ifalias") for link in network.links()}


def _machines_of(name: str) -> list[processes.Process]:
    state = instance.folder(name) / "machines" / instance.CONTROL
    return processes.processes_with(MARK, str(state))


def _wait_for(ready: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
