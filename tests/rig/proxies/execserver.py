"""The part of an API server that executes in pods, over WebSockets, as a real one answers."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import WSCloseCode, web

from tests.rig.proxies.loop import Looped

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_OUT, _ERR, _STATUS = 1, 2, 3


_BROKEN = ("hung-up", "proxied", "late", "unreached", "elsewhere", "startless")
_RUNC = "OCI runtime exec failed: exec failed: unable to start container process: "
_MESSAGES = {
    "stopped": 'unable to upgrade connection: container not found ("db")',
    "ended": 'failed to create exec "04ab": cannot exec in a deleted state: unknown',
    "crowded": f"{_RUNC}read init-p: resource temporarily unavailable: unknown",
    "vanished": f"{_RUNC}open /sys/fs/cgroup/pod1/cgroup.procs: no such file or directory: unknown",
    "lost": "rpc error: read /run/pipe: permission denied",
}
"""What is told of a program that was not started, or of one that nobody knows of."""


class ExecServer(Looped):
    """One pod ``shop/db-0`` with a container ``db``; programs `tell`, `fail`, `endless`, …"""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Path with query, and headers, of each request."""
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def _up(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/exec", self._execute)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path_qs, dict(request.headers)))
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        container = request.query["container"]
        if namespace == "forbidden":
            message = 'pods "db-0" is forbidden: User "x" cannot create resource "pods/exec"'
            return _refusal(403, "Forbidden", message)
        if namespace == "unwell":
            return _refusal(503, "ServiceUnavailable", "etcd is away")
        if namespace in _BROKEN:
            return _broken(namespace, request)
        if (namespace, pod) != ("shop", "db-0"):
            return _refusal(404, "NotFound", f'pods "{pod}" not found')
        if pod == "db-0" and container == "early":
            return _refusal(400, "BadRequest", "pod db-0 does not have a host assigned")
        if container == "late":
            message = "cannot exec into a container in a completed pod; current phase is Succeeded"
            return _refusal(400, "BadRequest", message)
        if container != "db":
            return _refusal(400, "BadRequest", f"container {container} is not valid for pod {pod}")
        socket = web.WebSocketResponse(protocols=PROTOCOLS)
        await socket.prepare(request)
        await _answer(socket, request)
        return socket


def _broken(how: str, request: web.Request) -> web.Response:
    """What comes of a request that arrived, and may have been followed."""
    match how:
        case "hung-up":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        case "proxied":
            return web.Response(status=502, text="<html>Bad Gateway</html>")
        case "late":
            return _refusal(504, "Timeout", "the server was unable to return a response in time")
        case "elsewhere":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        case "startless":
            return _refusal(500, "InternalError", "unable to upgrade connection")
        case _:
            return _refusal(500, "InternalError", "error dialing backend: no route to host")


async def _answer(socket: web.WebSocketResponse, request: web.Request) -> None:
    match request.query.getall("command"):
        case ["tell", *words]:
            for word in words:
                await _send(socket, _OUT, f"{word}\n".encode())
            await _send(socket, _STATUS, json.dumps({"status": "Success"}).encode())
        case ["fail"]:
            await _send(socket, _OUT, b"out\n")
            await _send(socket, _ERR, b"err\n")
            await _send(socket, _STATUS, _failure("NonZeroExitCode", "", 3))
        case ["endless"]:
            await socket.receive()  # until the client goes
        case ["cut"]:
            await _send(socket, _OUT, b"so far\n")
            if request.transport is not None:
                request.transport.abort()
        case ["mute"]:
            await socket.close(code=WSCloseCode.GOING_AWAY)
        case [program, *_] if program in _MESSAGES:
            await _send(socket, _STATUS, _failure("InternalError", _MESSAGES[program]))
        case ["garbled"]:
            await _send(socket, _STATUS, b"<html>")
        case [program, *_]:
            message = f'{"error executing command in container: " * 12}exec: "{program}"'
            message += ": executable file not found in $PATH"
            await _send(socket, _STATUS, _failure("InternalError", message))


async def _send(socket: web.WebSocketResponse, channel: int, data: bytes) -> None:
    await socket.send_bytes(bytes([channel]) + data)


def _failure(reason: str, message: str, code: int | None = None) -> bytes:
    causes = [] if code is None else [{"reason": "ExitCode", "message": str(code)}]
    told: dict[str, Any] = {"status": "Failure", "reason": reason, "message": message}
    return json.dumps({**told, "details": {"causes": causes}}).encode()


def _refusal(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)
