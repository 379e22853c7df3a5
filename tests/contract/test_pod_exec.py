"""The fake keeps what PodExec promises, and so does the real adapter, over loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import orjson
import pytest
from kubernetes.client import Configuration

from reconciler.adapters import kubeexec
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.kubeconfig import ClientAccess
from reconciler.adapters.kubeexec import KubeExec
from reconciler.adapters.kubetransport import Transport
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.podexec import ExecLost, NotExecutable, PodGone
from tests.contract.podexec_suite import WORDS, ExecWorld, PodExecContract
from tests.fakes.podexec import FakePodExec, Program
from tests.rig.proxies.execserver import ExecServer

PLACE = ("shop", "db-0", "db")


class Echo(dict[str, Program]):
    """Programs of a container, with one that tells the words of the suite."""

    def __init__(self) -> None:
        told = tuple(f"{word}\n".encode() for word in WORDS)
        super().__init__(
            tell=Program(output=told),
            fail=Program(3, (b"out\n", b"err\n")),
            endless=Program(endless=True),
        )


def world_of(execute: FakePodExec | KubeExec) -> ExecWorld:
    """The same programs in each."""
    return ExecWorld(
        execute=execute, namespace="shop", pod="db-0", container="db",
        tell=("tell",), fail=("fail",), endless=("endless",),
    )  # fmt: skip


class TestFake(PodExecContract):
    """The fake."""

    @pytest.fixture
    def exec_world(self) -> ExecWorld:
        """Return a fake pod."""
        return world_of(FakePodExec({PLACE: Echo()}))


@pytest.fixture(scope="module")
def server() -> Iterator[ExecServer]:
    """Serve one for all tests: it keeps nothing but what it has seen."""
    with ExecServer() as made:
        yield made


@pytest.fixture
def real(server: ExecServer) -> ExecWorld:
    """Return the real adapter, with a token."""
    configuration = Configuration(host=server.url)
    configuration.api_key["BearerToken"] = "Bearer t0ken"
    transport = Transport(
        ClientAccess(configuration), clock=SystemClock(), user_agent="backstay/test"
    )
    return world_of(KubeExec(transport))


class TestReal(PodExecContract):
    """The real adapter."""

    @pytest.fixture
    def exec_world(self, real: ExecWorld) -> ExecWorld:
        """Return it."""
        return real


def test_it_asks_with_credentials_and_without_input(real: ExecWorld, server: ExecServer) -> None:
    real.run(("tell", "a b"))
    path, headers = server.seen[-1]
    assert path == (
        "/api/v1/namespaces/shop/pods/db-0/exec?container=db&stdin=false&stdout=true&stderr=true"
        "&tty=false&command=tell&command=a%20b"
    )
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["User-Agent"] == "backstay/test"
    assert headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io,v4.channel.k8s.io"


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        ("cut", ExecLost, "nobody knows"),
        ("mute", ExecLost, "before the command told"),
        ("stopped", Transient, "container not found"),
        ("ended", Transient, "deleted state"),
        ("crowded", Transient, "temporarily unavailable"),
        ("vanished", Transient, "cgroup"),
        ("lost", ExecLost, "permission denied"),
        ("garbled", ExecLost, "can't be read"),
    ],
)
def test_what_a_connection_may_come_to(
    real: ExecWorld, command: str, error: type[BackstayError], says: str
) -> None:
    with pytest.raises(error, match=says):
        real.run((command,))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"namespace": "unwell"}, Transient),
        ({"container": "early"}, Transient),
        ({"container": "late"}, PodGone),
        ({"container": "none"}, NotExecutable),
    ],
)
def test_what_an_api_server_may_say(
    real: ExecWorld, changed: dict[str, str], error: type[BackstayError]
) -> None:
    with pytest.raises(error):
        real.run(("tell",), **changed)


@pytest.mark.parametrize(
    ("namespace", "error", "says"),
    [
        ("hung-up", ExecLost, "whether the command was started"),
        ("proxied", ExecLost, "HTTP 502"),
        ("late", ExecLost, "HTTP 504 Timeout"),
        ("startless", ExecLost, "unable to upgrade"),
        ("unreached", Transient, "error dialing backend"),
        ("elsewhere", ExecLost, "no answer"),
    ],
)
def test_only_what_proves_that_nothing_was_started_is_tried_again(
    real: ExecWorld, server: ExecServer, namespace: str, error: type[BackstayError], says: str
) -> None:
    before = len(server.seen)
    with pytest.raises(error, match=says):
        real.run(("tell",), namespace=namespace)
    assert len(server.seen) == before + 1


def test_a_missing_right_names_the_component_that_gives_it(real: ExecWorld) -> None:
    with pytest.raises(Refused, match="forbidden/pods/exec/db-0: not allowed") as caught:
        real.run(("tell",), namespace="forbidden")
    assert "deploy/components/hooks" in caught.value.hint


def test_an_api_server_that_is_away_means_that_nothing_was_started() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and nobody listens
        configuration = Configuration(host=f"http://127.0.0.1:{silent.getsockname()[1]}")
        transport = Transport(
            ClientAccess(configuration), clock=SystemClock(), user_agent="backstay/test"
        )
        with pytest.raises(Transient, match="no answer"):
            world_of(KubeExec(transport)).run(("tell",))


def test_an_api_server_that_takes_a_request_and_says_nothing_may_have_followed_it() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        configuration = Configuration(host=f"http://127.0.0.1:{silent.getsockname()[1]}")
        transport = Transport(
            ClientAccess(configuration), clock=SystemClock(), user_agent="backstay/test"
        )
        with pytest.raises(ExecLost, match="WebSocketTimeoutException"):
            world_of(KubeExec(transport)).run(("tell",), timeout=0.5)


@pytest.mark.parametrize(
    "message",
    [
        'exec: "nope": executable file not found in $PATH: unknown',
        'exec: "/no/pe": stat /no/pe: no such file or directory: unknown',
        'exec: "/etc/pass\\"wd": permission denied',
        "exec /run.sh: no such file or directory",
        "exec /run.sh: exec format error",
        "executable file `nope` not found in $PATH: No such file or directory",
    ],
)
def test_a_program_that_can_not_be_executed_is_told_from_its_words(message: str) -> None:
    text = orjson.dumps({"status": "Failure", "message": f"exec failed: {message}"})
    with pytest.raises(NotExecutable):
        kubeexec.explain_end("exec", text, 0)
