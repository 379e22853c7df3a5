"""What a Git server over HTTPS may do badly; see `githttps.GitHttps.misbehave`."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator

from tests.rig.servers.githttps import Handler, Mood, Response

_RESULT = {"Content-Type": "application/x-git-upload-pack-result"}
_LARGEST_LINE = 65_516
_BLOB = 3


def status(code: int, text: str = "", **fields: str) -> Mood:
    """Answers with this code; ``fields`` with ``_`` for ``-``, as in ``Retry_After``."""
    named = {key.replace("_", "-"): value for key, value in fields.items()}

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        handler.reply(Response(code, {"Content-Type": "text/plain", **named}, text.encode()))

    return answer


def redirect(address: str) -> Mood:
    """Sends clients to the same path of another server."""

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        handler.reply(Response(302, {"Location": address + handler.path}, b""))

    return answer


def cut(after: int) -> Mood:
    """Begins the real answer, promises all of it, and hangs up after so many bytes."""

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        response = real()
        handler.send_response(response.code)
        for key, value in {**response.fields, "Content-Length": str(len(response.body))}.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(response.body[: min(after, len(response.body) - 1)])
        handler.close_connection = True

    return answer


def crawl(pause: float) -> Mood:
    """One byte of the real answer, then a pause, and so on; with a long pause it stands still."""

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        response = real()
        handler.send_response(response.code)
        for key, value in {**response.fields, "Content-Length": str(len(response.body))}.items():
            handler.send_header(key, value)
        handler.end_headers()
        for byte in response.body:
            handler.wfile.write(bytes([byte]))
            if handler.owner.ended.wait(pause):
                return

    return answer


def stream(sideband: Iterable[bytes]) -> Mood:
    """Answers a fetch with the lines of a pack, until they end or the client has had enough."""

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", _RESULT["Content-Type"])
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for data in _lines(sideband):
            if handler.owner.ended.is_set():
                return
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def half_a_pack(begun: threading.Event, over: threading.Event) -> Mood:
    """Sends the beginning of a pack, says so, and hangs up when it is told to."""

    def lines() -> Iterator[bytes]:
        pack = endless_pack(objects=1000)
        for _ in range(20):
            yield next(pack)
        begun.set()
        over.wait(120)

    def answer(handler: Handler, real: Callable[[], Response]) -> None:
        stream(lines())(handler, real)
        handler.close_connection = True

    return answer


def endless_pack(*, objects: int = 1 << 30) -> Iterator[bytes]:
    """A pack that is good as far as it goes, and goes on for ever."""
    yield b"\1PACK" + (2).to_bytes(4) + objects.to_bytes(4)
    while True:
        yield b"\1" + _blob(os.urandom(48 << 10))


def endless_progress() -> Iterator[bytes]:
    """A server that counts objects and never comes to the pack."""
    while True:
        yield b"\2" + b"Counting objects, still counting\r" * 1000


def _lines(sideband: Iterable[bytes]) -> Iterator[bytes]:
    """Protocol version 2: a packfile section (gitprotocol-v2(5))."""
    yield _line(b"packfile\n")
    for data in sideband:
        yield _line(data)
    yield b"0000"


def _line(data: bytes) -> bytes:
    if len(data) > _LARGEST_LINE:
        raise ValueError(f"a line of {len(data)} bytes")
    return b"%04x" % (len(data) + 4) + data


def _blob(data: bytes) -> bytes:
    """An object in a pack (gitformat-pack(5)): type and size, then zlib."""
    size = len(data)
    head = bytearray()
    byte, size = (_BLOB << 4) | (size & 15), size >> 4
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(data, 0)
