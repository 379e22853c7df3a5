"""The parts of the rig's cluster that need no cluster: addresses, certificates, locks, pids."""

from __future__ import annotations

import json
import os
import ssl
import threading
from ipaddress import IPv4Address
from itertools import combinations
from pathlib import Path

import pytest

from tests.rig.cluster import build, init, instance, limits, locks, network, providers
from tests.rig.cluster.certs import Authority, Pair, kubeconfig
from tests.rig.cluster.definitions import wait_established, wait_gone
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.network import Network
from tests.rig.cluster.processes import Process


def test_ranges_of_an_instance_lie_apart_in_its_block() -> None:
    one = Network(101)
    assert one.pods.subnet_of(one.everything)
    assert one.services.subnet_of(one.everything)
    assert not one.pods.overlaps(one.services)
    switch = {one.host, one.control, *(one.node(i) for i in range(1, 16))}
    assert len(switch) == 17
    assert not any(a in one.pods or a in one.services for a in switch)
    pods = [one.pods_of(i) for i in range(1, 16)]
    assert all(p.subnet_of(one.pods) for p in pods)
    assert not any(a.overlaps(b) for a, b in combinations(pods, 2))


def test_every_bridge_port_fits_the_kernel() -> None:
    for block in network.BLOCKS:
        names = {network.port(Network(block), m) for m in ("control", "node-1", "node-15")}
        assert len(names) == 3
        assert all(len(name) <= 15 for name in names)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("backstay-rig-unit")


def strict_handshake(authority: Authority, server: Pair, host: str, folder: Path) -> None:
    """Verify as Python 3.13 does by default, in memory."""
    server.write(folder, "server")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "server.crt", folder / "server.key")
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(down, up, server_hostname=host)
    peer = serving.wrap_bio(up, down, server_side=True)
    waiting = [client, peer]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting


def test_certificates_pass_strict_verification(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("server", names=["kubernetes"], addresses=[IPv4Address("10.101.0.10")])
    for host in ("kubernetes", "10.101.0.10"):
        strict_handshake(authority, pair, host, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        strict_handshake(authority, pair, "10.101.0.11", tmp_path)
    stranger = Authority.new("backstay-rig-other").issue("server", names=["kubernetes"])
    with pytest.raises(ssl.SSLCertVerificationError):
        strict_handshake(authority, stranger, "kubernetes", tmp_path)


def test_keys_are_for_their_owner_only(authority: Authority, tmp_path: Path) -> None:
    authority.issue("admin").write(tmp_path, "admin")
    assert (tmp_path / "admin.key").stat().st_mode & 0o777 == 0o600


def test_kubeconfig_holds_everything_itself(authority: Authority) -> None:
    text = kubeconfig(
        server="https://10.101.0.10:6443",
        name="rig",
        authority=authority,
        client=authority.issue("admin", group="system:masters"),
    )
    config = json.loads(text)
    assert config["current-context"] == config["contexts"][0]["name"] == "rig"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_pid_of_another_life_is_not_alive() -> None:
    me = Process.of(os.getpid())
    assert me.alive()
    assert me.parent() == os.getppid()
    assert not Process(me.pid, me.started - 1).alive()


def test_lock_is_held_by_one_at_a_time_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / ".lock"
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with locks.held(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 80
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "../x", "Upper", "-a", "a" * 41, "a/b"])
def test_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(RigError, match="cannot be a cluster's name"):
        instance.folder(name)


def test_builds_are_keyed_by_what_makes_them() -> None:
    before = build.key()
    assert before == build.key()
    assert len(before) == 16
    assert build.key(flags=("-race",)) != before


def test_given_cluster_is_only_the_one_named_for_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "production"))
    monkeypatch.delenv(providers.GIVEN, raising=False)
    with pytest.raises(RigError, match=f"{providers.GIVEN} is not set"):
        providers.Given.from_environment()
    monkeypatch.setenv(providers.GIVEN, str(tmp_path / "missing"))
    with pytest.raises(RigError, match="no such file"):
        providers.Given.from_environment()
    (tmp_path / "mine").touch()
    monkeypatch.setenv(providers.GIVEN, str(tmp_path / "mine"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(providers.GIVEN_HOST, raising=False)
    given = providers.Given.from_environment()
    assert given.kubeconfig == tmp_path / "mine"
    with pytest.raises(RigError, match="address as pods see it"):
        assert given.host_address
    with pytest.raises(RigError, match="localhost/x:1 into a node of kind needs kind and docker"):
        given.load_image(tmp_path / "image.tar", "localhost/x:1")


def test_the_hosts_limit_is_raised_and_never_lowered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    low.write_text("128\n")
    high.write_text("8192\n")
    for setting in (low, high, tmp_path):  # the last one can't be written
        limits.ensure(setting)
    assert (low.read_text(), high.read_text()) == ("1024\n", "8192\n")
    raised, refused = capsys.readouterr().err.splitlines()
    assert "raised from 128 to 1024" in raised
    assert "not many clusters at once" in refused


def test_a_service_taken_away_while_it_is_read_ends_no_machine(tmp_path: Path) -> None:
    (tmp_path / "etcd.json").write_text('{"argv": ["etcd"], "env": {}}')
    (tmp_path / "kubelet.json").symlink_to(tmp_path / "gone")  # listed, and not there to be read
    assert init.specs(tmp_path) == {"etcd": {"argv": ["etcd"], "env": {}}}


def test_a_definition_without_conditions_is_waited_for_until_its_kind_is_listed() -> None:
    new: dict[str, object] = {"metadata": {"name": "a.example.org"}, "status": {"conditions": None}}
    served = {"conditions": [{"type": "Established", "status": "True"}]}
    answers = [{"items": [new, new | {"status": status}]} for status in (None, {}, served)]
    answers += [{"items": [new | {"status": served}] * 2}] * 2
    group = {"versions": [{"groupVersion": "example.org/v1"}]}
    lists: list[dict[str, object]] = [{"resources": [{"name": name} for name in "ab"[:n]]}
                                      for n in (0, 1, 2, 2)]  # fmt: skip
    asked: list[tuple[str, ...]] = []

    def kubectl(*words: str) -> str:
        asked.append(words)
        if words == ("get", "--raw", "/apis/example.org"):
            return json.dumps(group)
        if words == ("get", "--raw", "/apis/example.org/v1"):
            return json.dumps(lists.pop(0) if len(lists) > 1 else lists[0])
        return json.dumps(answers.pop(0))

    wait_established(kubectl, "a.example.org", "b.example.org")
    whole = ("get", "crd/a.example.org", "crd/b.example.org", "-o", "json")
    assert answers == []
    assert [words for words in asked if "--raw" not in words] == [whole] * 5


def test_a_kind_is_gone_when_discovery_has_it_no_more() -> None:
    lists = [{"resources": [{"name": "a"}, {"name": "b"}]}, {"resources": [{"name": "b"}]}]

    def kubectl(*words: str) -> str:
        if words[-1] == "/apis/example.org":
            return json.dumps({"versions": [{"groupVersion": "example.org/v1"}]})
        if not lists:
            raise RigError("404")
        return json.dumps(lists.pop(0))

    wait_gone(kubectl, "a.example.org")
    assert lists == []
    wait_gone(kubectl, "b.example.org")  # its group is gone with it
