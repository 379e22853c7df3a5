"""`reconciler.ports.PodExec`: programs in containers, over one WebSocket each (``pods/exec``).

The command travels as a list and no shell sees it; there is no input and no terminal. The
protocol (``v5.channel.k8s.io``, ``v4.channel.k8s.io``) gives each frame a channel in its first
byte: 1 and 2 are the outputs, 3 is a Status that tells how the program ended. A connection that
ends without one tells nothing. Nothing is tried again here: who asks twice executes twice.

A request that was sent may have been followed, whatever became of its answer. Only what proves that
nothing was started is told as that: no connection, or a Kubernetes Status from before the start.

A program can't be ended from outside: without a terminal the kubelet leaves it alone when the
connection goes. So after a time-out it works on.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from reconciler.adapters.kubeerrors import Answer, Call, Status, explain, read_status
from reconciler.adapters.kubetransport import CONNECT_SECONDS, Transport, foreign
from reconciler.model.errors import BackstayError, Interrupted, Refused, Transient
from reconciler.model.podexec import ExecLost, ExecResult, ExecTimedOut, NotExecutable, PodGone

_LOOK = 1.0
"""Seconds that a request to stop may wait for."""
_PROTOCOLS = "v5.channel.k8s.io,v4.channel.k8s.io"
_OUTPUTS = frozenset({1, 2})
_ERROR = 3
_LONGEST_STATUS = 64 * 1024
# runc and crun; only of the program itself: a container's own files may be away for a moment.
_MISSING = re.compile(
    r"""\bexec(?::\ "(?:[^"\\]|\\.)*"|\ /[^\s:]*):\ (?:stat\ [^\s:]*:\ )?
    (?:executable\ file\ not\ found|no\ such\ file\ or\ directory|permission\ denied
      |is\ a\ directory|exec\ format\ error)
    |\bexecutable\ file\ `[^`]*`\ not\ found""",
    re.VERBOSE,
)
_NOT_NOW = (
    "container not found",
    "error dialing backend",
    # Of a full limit of processes or memory too: it passes, a post command must be tried again.
    "unable to start container process",
    # containerd, of a container that has just ended.
    "failed to create exec",
)
_UNSENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_UNSENT_NUMBERS = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})
_UNSENT_NAMES = frozenset({"WebSocketAddressException", "WebSocketProxyException"})
_SHOWN = 300
_PING = 20.0
"""Seconds between two; proxies cut what is silent for a minute or more."""
_SILENCE = 90.0
_PONG = 10
_LOST = "look into the container; is the API server, or the pod's node, away?"
_HINT = (
    "with deploy/components/hooks applied, bind the right in this namespace: kubectl create"
    " rolebinding backstay-hooks --clusterrole=backstay-hooks"
    " --serviceaccount=backstay-system:backstay-run -n {}"
)


class KubeExec:
    """Executes in the containers of one cluster. Safe to share between threads."""

    def __init__(
        self, transport: Transport, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._seconds = seconds

    def run(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        timeout: float,
        on_output: Callable[[bytes], object],
        stopped: Callable[[], bool] = lambda: False,
    ) -> ExecResult:
        """See `reconciler.ports.PodExec`."""
        what = f"exec in {namespace}/{pod} ({container})"
        until = self._seconds() + timeout
        opened = self._open(namespace, pod, container, command, min(timeout, CONNECT_SECONDS))
        try:
            return Reading(what, opened, on_output, self._seconds).read(until, stopped)
        finally:
            opened.shutdown()  # no closing handshake: nobody must wait for a server that is gone

    def _open(
        self, namespace: str, pod: str, container: str, command: Sequence[str], seconds: float
    ) -> Any:
        """A connected WebSocket; raises ExecLost where the request may have been followed."""
        # Here, not above: only a run with hooks pays for it.
        from kubernetes.stream import ws_client

        query = [("container", container), ("stdin", "false"), ("stdout", "true")]
        query += [("stderr", "true"), ("tty", "false"), *(("command", word) for word in command)]
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/exec"
        configuration, url, headers = self._transport.upgrade("GET", path, query)
        opened = ws_client.WebSocket(sslopt=_tls(configuration), skip_utf8_validation=True)
        headers |= {"sec-websocket-protocol": _PROTOCOLS}
        lines = [f"{key}: {value}" for key, value in headers.items()]
        # An answer that leads elsewhere would take the token with it.
        given: dict[str, Any] = {"timeout": seconds, "header": lines, "redirect_limit": 0}
        if configuration.proxy or configuration.proxy_headers:
            given = ws_client.websocket_proxycare(given, configuration, url, headers)
        try:
            opened.connect("ws" + url.removeprefix("http"), **given)
        except Exception as error:
            opened.shutdown()
            raise _refused(error, namespace, pod, self._transport.host) from error
        return opened


class Reading:
    """What comes over one connection until it tells how the program ended.

    A silent program's connection looks idle, and what stands between may cut it: so it is asked
    for a sign of life (ping). A peer that answered once and then stays silent is gone.
    """

    def __init__(
        self,
        what: str,
        opened: Any,
        on_output: Callable[[bytes], object],
        seconds: Callable[[], float],
    ) -> None:
        self._what = what
        self._socket = opened
        self._on_output = on_output
        self._seconds = seconds
        self._status = b""
        self._count = 0
        self._pinged = self._heard = seconds()
        self._answers = False

    def read(self, until: float, stopped: Callable[[], bool]) -> ExecResult:
        """Its result; raises ExecTimedOut, ExecLost, Interrupted, or what `explain_end` does."""
        while True:
            now = self._seconds()
            left = until - now
            if left <= 0:
                raise ExecTimedOut(
                    f"{self._what}: it had not ended in time; its process goes on there",
                    hint="give it more time (timeout), or let the command end by itself",
                )
            if stopped():
                raise Interrupted(f"stopped while a command was at work: {self._what}")
            if self._answers and now - self._heard > _SILENCE:
                raise ExecLost(
                    f"{self._what}: no sign of life for {_SILENCE:.0f} seconds, and nobody knows"
                    " how the command ended",
                    hint=_LOST,
                )
            if self._take(min(left, _LOOK)):
                return explain_end(self._what, self._status, self._count)

    def _take(self, wait: float) -> bool:
        """One frame, if one comes within ``wait`` seconds; whether it was the last."""
        try:
            self._socket.settimeout(wait)
            if self._seconds() - self._pinged >= _PING:
                self._pinged = self._seconds()
                self._socket.ping()
            code, frame = self._socket.recv_data_frame(True)
        except Exception as error:
            if type(error).__name__ == "WebSocketTimeoutException":
                # What has come of a frame is kept for the next time. Who told how it ended and
                # does not close has nothing more to say.
                return bool(self._status)
            if self._status:
                return True
            raise ExecLost(
                f"{self._what}: the connection broke ({type(error).__name__}), and nobody knows how"
                " the command ended",
                hint=_LOST,
            ) from error
        self._heard = self._seconds()
        self._answers = self._answers or code == _PONG
        if code == 8:  # the server closes
            if not self._status:
                raise ExecLost(
                    f"{self._what}: the connection ended before the command told how it ended"
                )
            return True
        if code in (1, 2) and frame.data:
            self._sort(frame.data[0], frame.data[1:])
        return False

    def _sort(self, channel: int, data: bytes) -> None:
        if channel in _OUTPUTS and data:
            self._count += len(data)
            self._on_output(data)
        elif channel == _ERROR and len(self._status) < _LONGEST_STATUS:
            self._status += data


def explain_end(what: str, text: bytes, count: int) -> ExecResult:
    """What the Status of the last channel says."""
    try:
        told = orjson.loads(text)
        if told["status"] == "Success":
            return ExecResult(0, count)
        causes = (told.get("details") or {}).get("causes") or ()
        codes = [found["message"] for found in causes if found.get("reason") == "ExitCode"]
        if codes:
            return ExecResult(int(codes[0]), count)
        message = " ".join(str(told.get("message") or told.get("reason") or "").split())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExecLost(f"{what}: the API server's last word can't be read") from error
    shown = message if len(message) <= _SHOWN else f"…{message[-_SHOWN:]}"  # its cause is its end
    if _MISSING.search(message):
        raise NotExecutable(
            f"{what}: not started: {shown}",
            hint="the command is a program of the container's image, and no shell looks at it",
        )
    if any(found in message for found in _NOT_NOW):
        raise Transient(f"{what}: not started: {shown}")
    raise ExecLost(f"{what}: {shown}")


def _refused(error: Exception, namespace: str, pod: str, host: str) -> BackstayError:
    """Why there is no connection."""
    code = getattr(error, "status_code", None)
    if code is None:
        return _unanswered(error, f"exec in {namespace}/{pod}", host)
    body = getattr(error, "resp_body", None) or b""
    answer = Answer(int(code), body if isinstance(body, bytes) else b"")
    what = Call(verb="create", kind="pods/exec", namespace=namespace, name=pod)
    status = read_status(answer)
    if status.code == 404:
        return PodGone(f"{what}: the pod is gone")
    if status.code == 400:
        if "completed pod" in status.message:
            return PodGone(f"{what}: {status.message}")
        if "host assigned" in status.message:
            return Transient(f"{what}: {status.message}")
        return NotExecutable(f"{what}: {status.message or status}")
    if status.code >= 500 and not _before_start(status):
        told = f"{status}: {status.message}" if status.message else f"{status}"
        return ExecLost(
            f"{what}: {told}; nobody knows whether the command was started",
            hint=_LOST,
        )
    made = explain(answer, what)
    if status.code == 403 and isinstance(made, Refused):
        return Refused(made.message, hint=_HINT.format(namespace))
    return made


def _unanswered(error: Exception, what: str, host: str) -> BackstayError:
    """Transient or Refused where no request can have been sent; ExecLost otherwise."""
    unsent = (
        isinstance(error, _UNSENT)
        or getattr(error, "errno", None) in _UNSENT_NUMBERS
        or type(error).__name__ in _UNSENT_NAMES
        # While it connects; that of an answer has a name of its own.
        or type(error) is TimeoutError
    )
    if unsent:
        told = foreign(error, host)
        return told or Transient(f"API server {host}: no connection ({type(error).__name__})")
    return ExecLost(
        f"{what}: no answer of API server {host} ({type(error).__name__}), and nobody knows whether"
        " the command was started",
        hint="look into the container; is the API server away?",
    )


def _before_start(status: Status) -> bool:
    """Whether a Kubernetes Status of 5xx tells that the request went no further."""
    if status.code == 503 and status.reason == "ServiceUnavailable":
        return True
    return any(found in status.message for found in _NOT_NOW)


def _tls(configuration: Any) -> dict[str, Any]:
    """As the client's other connections have it."""
    found: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        found = {"cert_reqs": ssl.CERT_REQUIRED}
        if configuration.ssl_ca_cert:
            found["ca_certs"] = configuration.ssl_ca_cert
        if configuration.assert_hostname is not None:
            found["check_hostname"] = configuration.assert_hostname
    names = {
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    return {**found, **{key: value for key, value in names.items() if value}}
