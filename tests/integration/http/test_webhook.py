"""The webhook over real HTTP: who is let in, who is not, and that nobody is told why."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from reconciler.adapters.httpserver import HttpServer, Listener, open_socket
from reconciler.adapters.webhook import MOST_BYTES, Webhook, key_of, path_of
from reconciler.model.errors import Refused

PATIENCE = 60
# The example of docs.github.com, "Validating webhook deliveries".
KEY = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
PATH = path_of(KEY)


class Served:
    """A webhook on a port, and how often it woke somebody."""

    def __init__(self, *, seconds: float = PATIENCE) -> None:
        self.woken = 0
        self.webhook = Webhook(self._wake, seconds=seconds)
        self.webhook.use(KEY)
        self.port = 0

    def _wake(self) -> None:
        self.woken += 1

    @contextmanager
    def up(self) -> Iterator[Served]:
        """Serve it."""
        listening = open_socket("127.0.0.1:0")
        self.port = int(listening.getsockname()[1])
        with HttpServer([Listener(self.webhook, listening)]):
            yield self

    def send(
        self,
        path: str = PATH,
        *,
        method: str = "POST",
        body: bytes = BODY,
        given: Mapping[str, str] | None = None,
        **headers: str,
    ) -> int:
        """The status; every answer is empty."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = {k.replace("_", "-"): v for k, v in {**headers, **(given or {})}.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            assert answer.read() == b""
            assert "backstay" not in str(answer.getheaders()).lower()
            return answer.status
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """What comes back for bytes as they are, until the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
            client.sendall(data)
            found = b""
            while part := client.recv(65536):
                found += part
            return found


@pytest.fixture
def hook() -> Iterator[Served]:
    with Served().up() as served:
        yield served


@pytest.mark.parametrize("header", ["X_Hub_Signature_256", "X_Signature", "x_signature"])
def test_githubs_header_and_the_generic_one_wake(hook: Served, header: str) -> None:
    assert hook.send(given={header: SIGNATURE}) == 202
    assert hook.woken == 1


def test_a_replay_only_wakes_again(hook: Served) -> None:
    for _ in range(3):
        assert hook.send(X_Hub_Signature_256=SIGNATURE) == 202
    assert hook.woken == 3


def test_any_content_will_do_if_it_is_signed(hook: Served) -> None:
    for body in (b"", b"\0" * 1000, b'{"ref": "../../etc", "url": "ssh://evil"}'):
        signed = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest().upper()
        assert hook.send(body=body, X_Signature=signed) == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Hub_Signature_256": ""},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": SIGNATURE[:-1]},
        {"X_Hub_Signature_256": SIGNATURE[:-1] + "8"},
        {"X_Hub_Signature_256": SIGNATURE.removeprefix("sha256=")},
        {"X_Signature": SIGNATURE.replace("sha256", "sha1")},
        {"X_Hub_Signature": SIGNATURE},
        {"X_Signature": "sha256=" + "é" * 64},
        {"X_Gitlab_Token": KEY.decode()},
        {"Authorization": "Bearer " + KEY.decode()},
    ],
)
def test_who_does_not_sign_is_not_let_in(hook: Served, headers: dict[str, str]) -> None:
    assert hook.send(given=headers) == 401
    assert hook.woken == 0


def test_a_signature_of_something_else_is_none(hook: Served) -> None:
    assert hook.send(body=b"Hello, World?", X_Hub_Signature_256=SIGNATURE) == 401
    assert hook.woken == 0


@pytest.mark.parametrize("body", [b"backstay/v1|webhook path", b"backstay/v1|webhook path|", b""])
def test_who_knows_the_path_cannot_sign_with_it(hook: Served, body: bytes) -> None:
    assert hook.send(body=body, X_Signature="sha256=" + PATH.removeprefix("/hook/")) == 401
    assert hook.woken == 0


def test_one_good_signature_of_two_is_enough(hook: Served) -> None:
    assert hook.send(X_Hub_Signature_256="sha256=00", X_Signature=SIGNATURE) == 202


@pytest.mark.parametrize(
    "path", ["/", "/hook", "/hook/", PATH[:-1], PATH + "/", "/healthz", "/metrics", "/hook/%00"]
)
def test_other_paths_are_not_there_signed_or_not(hook: Served, path: str) -> None:
    assert hook.send(path, X_Hub_Signature_256=SIGNATURE) == 404
    assert hook.send(path, method="GET", body=b"") == 404
    assert hook.woken == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_is_for_posts(hook: Served, method: str) -> None:
    assert hook.send(method=method, X_Hub_Signature_256=SIGNATURE) == 405
    assert hook.woken == 0


def test_what_says_it_is_too_long_is_not_read(hook: Served) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Signature: {SIGNATURE}\r\n"
    answer = hook.raw((head + f"Content-Length: {MOST_BYTES + 1}\r\n\r\n").encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert hook.woken == 0


def test_what_is_too_long_without_saying_so_is_not_read_to_its_end(hook: Served) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Signature: {SIGNATURE}\r\n"
    # No more than it will read, or its answer could be lost with the connection.
    chunk = b"%x\r\n%s" % (MOST_BYTES + 1, b"x" * (MOST_BYTES + 1))
    with socket.create_connection(("127.0.0.1", hook.port), timeout=PATIENCE) as client:
        client.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk)
        assert client.recv(13) == b"HTTP/1.1 413 "
    assert hook.woken == 0


def test_as_long_as_it_may_be_is_fine(hook: Served) -> None:
    body = b"x" * MOST_BYTES
    signed = "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()
    assert hook.send(body=body, X_Signature=signed) == 202


def test_who_does_not_end_is_ended() -> None:
    with Served(seconds=0.2).up() as hook:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Signature: {SIGNATURE}\r\n"
        answer = hook.raw((head + "Content-Length: 13\r\n\r\nHello").encode())
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert hook.woken == 0


def test_garbage_is_no_request(hook: Served) -> None:
    assert hook.raw(b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_another_key_closes_the_old_door(hook: Served) -> None:
    new = b"another key of thirty-two bytes!"
    hook.webhook.use(new)
    assert hook.send(X_Hub_Signature_256=SIGNATURE) == 404
    signed = "sha256=" + hmac.new(new, BODY, hashlib.sha256).hexdigest()
    assert hook.send(path_of(new), X_Hub_Signature_256=signed) == 202
    hook.webhook.use(b"")
    assert hook.send(path_of(b""), X_Hub_Signature_256=signed) == 404


def test_the_path_is_long_and_says_nothing_of_the_key() -> None:
    assert len(PATH) == len("/hook/") + 64
    assert path_of(KEY) != path_of(KEY + b"x")
    assert PATH[6:] != hashlib.sha256(KEY).hexdigest()


def test_the_key_of_a_secret() -> None:
    assert key_of({"token": KEY + b"\n"}, "Secret x") == KEY
    assert key_of({"TOKEN": KEY}, "environment HOOK_*") == KEY
    for data in ({}, {"token": b""}, {"token": b"short"}):
        with pytest.raises(Refused) as caught:
            key_of(data, "Secret x")
        assert "openssl" in caught.value.hint
        assert "short" not in caught.value.message.replace("shorter", "")
