"""Each proxy before a small server on loopback: what passes is unchanged, what is broken is so."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tests.rig.cluster.certs import Authority
from tests.rig.proxies import ApiProxy, Cut, Lose, Reset, S3Proxy, Slow, SshProxy
from tests.rig.proxies.http import HttpProxy

HOST = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """Says what it was asked; streams below /watch, says much below /big and /huge."""

    daemon_threads = True
    asked: list[tuple[str, str, dict[str, str], bytes]]
    more: threading.Event

    def handle_error(self, *_: object) -> None:
        """Quiet: who asks may go away."""


class Handler(BaseHTTPRequestHandler):
    """See `Server`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        if self.path.startswith("/watch"):
            self._stream()
            return
        size = {"/big": 100_000, "/huge": 1 << 25}.get(self.path, 0)
        text = b"x" * size or b"hello " + body
        self.send_response(201 if self.command == "POST" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Own", "kept")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in (b"first\n", b"second\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.server.more.wait(30)
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a plain HTTP server."""
    yield from _served(None)


def _served(tls: ssl.SSLContext | None) -> Iterator[Server]:
    server = Server((HOST, 0), Handler)
    server.asked, server.more = [], threading.Event()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.more.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[HttpProxy]:
    """Return a proxy before it."""
    with HttpProxy(f"http://{HOST}:{server.server_port}") as proxy:
        yield proxy


def ask(
    proxy: HttpProxy, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=30)
    try:
        named = {key.replace("_", "-").title(): value for key, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


# -- HTTP ----------------------------------------------------------------------------------------


def test_what_no_rule_is_about_passes_unchanged(server: Server, proxy: HttpProxy) -> None:
    path = "/b/a%2Fb%20c?x=%7E&list-type=2&prefix=a%2F&y"
    status, headers, body = ask(
        proxy, "POST", path, b"\0binary\xff", Authorization="Bearer t0ken", Host="named.example"
    )
    assert (status, body, headers["X-Own"]) == (201, b"hello \0binary\xff", "kept")
    ((method, asked, given, sent),) = server.asked
    assert (method, asked, sent) == ("POST", path, b"\0binary\xff")
    assert given["Authorization"] == "Bearer t0ken"
    assert given["Host"] == "named.example"
    assert [(seen.method, seen.target, seen.status) for seen in proxy.seen()] == [
        ("POST", path, 201)
    ]
    proxy.forget()
    assert proxy.seen() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_each_method_passes(server: Server, proxy: HttpProxy, method: str) -> None:
    status, headers, body = ask(proxy, method, "/it")
    assert (status, headers["Content-Length"]) == (200, "6")
    assert body == (b"" if method == "HEAD" else b"hello ")
    assert [method for method, *_ in server.asked] == [method]


def test_connections_are_kept(proxy: HttpProxy) -> None:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=30)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello "
        kept = connection.sock
        assert kept is not None
    connection.close()


def test_a_large_body_passes_both_ways(server: Server, proxy: HttpProxy) -> None:
    big = bytes(range(256)) * (1 << 14)
    assert ask(proxy, "PUT", "/", big)[2] == b"hello " + big


def test_a_stream_passes_as_it_comes(server: Server, proxy: HttpProxy) -> None:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=30)
    connection.request("GET", "/watch")
    answer = connection.getresponse()
    assert answer.readline() == b"first\n"
    server.more.set()  # only now is the second one sent
    assert answer.read() == b"second\n"
    connection.close()


def test_a_rule_is_for_some_requests_only(server: Server, proxy: HttpProxy) -> None:
    with proxy.rule("GET", r"/things\?", S3Proxy.error(503), nth=2, times=2) as rule:
        statuses = [ask(proxy, "GET", "/things?a")[0] for _ in range(5)]
        assert statuses == [200, 503, 503, 200, 200]
        assert ask(proxy, "PUT", "/things?a")[0] == 200
        assert ask(proxy, "GET", "/other?a")[0] == 200
        assert rule.hits == 2
    assert len(server.asked) == 5
    with proxy.rule("GET|PUT", "/", S3Proxy.error(500), times=0, agent="restic") as rule:
        assert ask(proxy, "GET", "/", user_agent="restic/1")[0] == 500
        assert ask(proxy, "PUT", "/", user_agent="restic/1")[0] == 500
        assert ask(proxy, "GET", "/", user_agent="backstay/1")[0] == 200
    assert ask(proxy, "GET", "/", user_agent="restic/1")[0] == 200
    assert rule.hits == 2


def test_a_body_that_breaks_off(proxy: HttpProxy) -> None:
    with proxy.rule("GET", "/big", Cut(after=1000)):
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(proxy, "GET", "/big")
        assert len(caught.value.partial) == 1000
        assert len(ask(proxy, "GET", "/big")[2]) == 100_000
    with (
        proxy.rule("GET", "/watch", Cut(after=3)),
        pytest.raises((http.client.HTTPException, OSError)),
    ):
        ask(proxy, "GET", "/watch")


def test_a_reset_before_the_server_is_asked(server: Server, proxy: HttpProxy) -> None:
    with (
        proxy.rule("GET", "/", Reset()),
        pytest.raises((ConnectionError, http.client.HTTPException)),
    ):
        ask(proxy, "GET", "/")
    assert server.asked == []
    assert proxy.seen()[0].status == 0


def test_a_slow_answer(proxy: HttpProxy) -> None:
    begin = time.monotonic()
    with proxy.rule("GET", "/", Slow(0.3)):
        assert ask(proxy, "GET", "/")[0] == 200
    assert time.monotonic() - begin >= 0.3


def test_a_request_is_held_until_it_is_released(server: Server, proxy: HttpProxy) -> None:
    with ThreadPoolExecutor(1) as pool:
        with proxy.held("PUT", "/it") as hold:
            work = pool.submit(ask, proxy, "PUT", "/it", b"x")
            hold.wait(30)
            assert ask(proxy, "GET", "/other")[0] == 200
            assert [path for _, path, _, _ in server.asked] == ["/other"]
        assert work.result(30)[2] == b"hello x"


def test_a_server_that_is_away_is_a_broken_connection(proxy: HttpProxy, server: Server) -> None:
    proxy.upstream = f"http://{HOST}:1"
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(proxy, "GET", "/")


@pytest.mark.parametrize("said", ["PUT /it HTTP/1.1\r\nContent-Length: 9", "GET /huge HTTP/1.1"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_goes_away_is_no_error(
    proxy: HttpProxy, caplog: pytest.LogCaptureFixture, said: str, reset: bool
) -> None:
    with socket.create_connection((HOST, proxy.port), timeout=30) as client:
        client.sendall(f"{said}\r\nHost: x\r\n\r\n".encode())
        while not proxy.seen():
            time.sleep(0.01)
        if said.startswith("GET"):
            assert client.recv(1) == b"H"
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ask(proxy, "GET", "/")[0] == 200
    assert [record.getMessage() for record in caplog.records] == []


def test_to_switch_protocols_is_refused(proxy: HttpProxy) -> None:
    status, _, body = ask(proxy, "GET", "/", Connection="Upgrade", Upgrade="websocket")
    assert (status, body) == (501, b"the proxy does not switch protocols\n")


# -- S3 ------------------------------------------------------------------------------------------


def test_a_lost_object_looks_stored(server: Server) -> None:
    with S3Proxy(f"http://{HOST}:{server.server_port}") as proxy:
        assert proxy.repository("b", "c") == f"s3:http://{HOST}:{proxy.port}/b/c"
        with proxy.rule("PUT", "/b/data/", Lose()):
            status, headers, _ = ask(proxy, "PUT", "/b/data/1", b"bytes")
        assert status == 200
        assert headers["ETag"] == f'"{hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()}"'
        assert server.asked == []
        with proxy.rule("GET", "/", proxy.error(503)):
            status, _, body = ask(proxy, "GET", "/")
        assert status == 503
        assert b"<Code>SlowDown</Code>" in body


# -- the apiserver -------------------------------------------------------------------------------


@pytest.fixture
def authority() -> Authority:
    """Return a cluster's authority."""
    return Authority.new("of-a-test")


@pytest.fixture
def api(authority: Authority, tmp_path: Path) -> Iterator[tuple[Server, ApiProxy]]:
    """Return a server with a certificate of the authority's, and the proxy before it."""
    authority.issue("server", addresses=[IPv4Address(HOST)]).write(tmp_path, "server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    for server in _served(tls):
        upstream = f"https://{HOST}:{server.server_port}"
        with ApiProxy(upstream, authority, tmp_path / "proxy") as proxy:
            yield server, proxy


def _ask_api(authority: Authority, proxy: ApiProxy, path: str) -> tuple[int, Any, bytes]:
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection(HOST, proxy.port, timeout=30, context=trust)
    try:
        connection.request("GET", path, headers={"Authorization": "Bearer t0ken"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_clusters_authority_verifies_the_proxy(
    authority: Authority, api: tuple[Server, ApiProxy]
) -> None:
    server, proxy = api
    assert _ask_api(authority, proxy, "/api")[0] == 200
    assert server.asked[0][2]["Authorization"] == "Bearer t0ken"
    with pytest.raises(ssl.SSLCertVerificationError):
        _ask_api(Authority.new("another"), proxy, "/api")


def test_nothing_that_a_client_holds_open_keeps_it(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    proxy = ApiProxy(f"http://{HOST}:{server.server_port}", authority, tmp_path / "proxy")
    proxy.start()
    with socket.create_connection((HOST, proxy.port)):  # no word of TLS
        trust = ssl.create_default_context(cadata=authority.pem.decode())
        watching = http.client.HTTPSConnection(HOST, proxy.port, timeout=30, context=trust)
        watching.request("GET", "/watch")
        assert watching.getresponse().readline() == b"first\n"
        begin = time.monotonic()
        proxy.stop()
        assert time.monotonic() - begin < 25
        watching.close()


def test_a_status_is_one_of_kubernetes(authority: Authority, api: tuple[Server, ApiProxy]) -> None:
    _, proxy = api
    with proxy.rule("GET", "/pods", proxy.status(429, retry_after=3)):
        code, headers, body = _ask_api(authority, proxy, "/pods")
    status = json.loads(body)
    assert (code, headers["Retry-After"]) == (429, "3")
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "TooManyRequests", 429)
    with proxy.rule("GET", "/pods", proxy.status(403, "no pods for you")):
        code, headers, body = _ask_api(authority, proxy, "/pods")
    assert (code, json.loads(body)["reason"]) == (403, "Forbidden")
    assert json.loads(body)["message"] == "no pods for you"
    assert "Retry-After" not in headers


def test_lists_come_in_small_pages(authority: Authority, api: tuple[Server, ApiProxy]) -> None:
    server, proxy = api
    proxy.page_size = 3
    _ask_api(authority, proxy, "/api/v1/pods?limit=500&continue=abc")
    _ask_api(authority, proxy, "/api/v1/pods?labelSelector=limit")
    proxy.page_size = 0
    _ask_api(authority, proxy, "/api/v1/pods?limit=500")
    assert [path for _, path, _, _ in server.asked] == [
        "/api/v1/pods?limit=3&continue=abc",
        "/api/v1/pods?labelSelector=limit",
        "/api/v1/pods?limit=500",
    ]


# -- SSH -----------------------------------------------------------------------------------------


class Echo(threading.Thread):
    """Sends back what it gets, and counts it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server((HOST, 0))
        self.port = int(self.listener.getsockname()[1])
        self.got = 0

    def run(self) -> None:
        """Until the listener is closed."""
        asyncio.run(self._main())

    async def _main(self) -> None:
        server = await asyncio.start_server(self._serve, sock=self.listener)
        self.ended = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        await self.ended.wait()
        server.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 14):
                self.got += len(chunk)
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def end(self) -> None:
        """Ends it."""
        self.loop.call_soon_threadsafe(self.ended.set)
        self.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Return a TCP server."""
    server = Echo()
    server.start()
    yield server
    server.end()


@pytest.fixture
def tcp(echo: Echo) -> Iterator[SshProxy]:
    """Return the proxy before it."""
    with SshProxy(HOST, echo.port) as proxy:
        yield proxy


def _talk(proxy: SshProxy, data: bytes) -> bytes:
    """Sends, says that this was all, and reads to the end."""
    with socket.create_connection((HOST, proxy.port), timeout=30) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := connection.recv(1 << 16):
            got += chunk
        return got


def test_bytes_pass_both_ways_to_the_end(tcp: SshProxy) -> None:
    assert _talk(tcp, b"hello" * 10_000) == b"hello" * 10_000
    assert tcp.connections == 1


def test_refused_breaks_what_there_is_and_comes_back(tcp: SshProxy) -> None:
    with socket.create_connection((HOST, tcp.port), timeout=30) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        with tcp.refused():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, tcp.port), timeout=30)
            with pytest.raises(ConnectionError):
                _until_broken(connection)
    assert _talk(tcp, b"again") == b"again"


def _until_broken(connection: socket.socket) -> None:
    while True:
        if not connection.recv(1):
            raise ConnectionError("closed")


def test_cut_after_so_many_bytes_of_the_client(echo: Echo, tcp: SshProxy) -> None:
    with tcp.cut(1000, times=1) as fate:
        with socket.create_connection((HOST, tcp.port), timeout=30) as connection:
            connection.sendall(b"x" * 900)
            assert connection.recv(1) == b"x"
            connection.sendall(b"x" * 900)
            with pytest.raises(ConnectionError):
                _until_broken(connection)
        assert (fate.hits, fate.cuts) == (1, 1)
        assert _talk(tcp, b"y" * 5000) == b"y" * 5000  # the next one is whole
    assert echo.got <= 1000 + 5000


def test_slow(tcp: SshProxy) -> None:
    begin = time.monotonic()
    with tcp.slow(10_000):
        assert _talk(tcp, b"x" * 4000) == b"x" * 4000
    assert time.monotonic() - begin >= 0.3


def test_frozen_until_the_end_of_the_block(echo: Echo, tcp: SshProxy) -> None:
    with socket.create_connection((HOST, tcp.port), timeout=30) as before:
        before.sendall(b"a")
        assert before.recv(1) == b"a"
        with (
            tcp.frozen() as fate,
            socket.create_connection((HOST, tcp.port), timeout=30) as connection,
        ):
            connection.sendall(b"x")
            before.sendall(b"b")
            assert before.recv(1) == b"b"
            assert echo.got == 2
            assert fate.hits == 1
        # thawed, but this one has left: the proxy must bear it
    assert _talk(tcp, b"again") == b"again"


def test_a_server_that_is_away(echo: Echo) -> None:
    with SshProxy(HOST, 1) as proxy, socket.create_connection((HOST, proxy.port)) as connection:
        connection.settimeout(30)
        try:
            said = connection.recv(1)
        except ConnectionError:
            said = b""
        assert said == b""
