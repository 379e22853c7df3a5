"""A conversion webhook: the API server asks it for a custom resource in another version.

For the kind `Address` of `round-trip.example.org`: ``v1`` has `spec.host` and `spec.port`, ``v2``
has `spec.address`, ``host:port``. Over HTTPS, as the API server demands, with an authority of its
own. It is a context manager; outside of its block nobody listens at its address.

Source: ConversionReview of `apiextensions.k8s.io/v1`.
"""

from __future__ import annotations

import http.server
import json
import ssl
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.rig.servers.httpsauthority import Authority

GROUP = "round-trip.example.org"
Object = dict[str, Any]


class Converter:
    """Listens at a free port of ``host`` as long as its block lasts."""

    def __init__(self, host: str) -> None:
        self._authority = Authority()
        self.asked: list[tuple[str, str]] = []
        """For each object: its version, and the one that was asked for."""
        self._server = http.server.ThreadingHTTPServer((host, 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as pair:
            Path(pair.name).write_bytes(self._authority.issue(host, days=1))
            context.load_cert_chain(pair.name)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate in PEM, for `caBundle`."""
        return self._authority.certificate

    @property
    def url(self) -> str:
        """For `clientConfig.url`."""
        host, port = self._server.server_address[:2]
        return f"https://{host!s}:{port}/convert"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, review: Object) -> Object:
        """The review with its response."""
        request = review["request"]
        wanted = str(request["desiredAPIVersion"])
        converted = [self._convert(one, wanted) for one in request["objects"]]
        said = {"result": {"status": "Success"}, "convertedObjects": converted}
        kept = {key: review[key] for key in ("apiVersion", "kind")}
        return {**kept, "response": {"uid": request["uid"], **said}}

    def _convert(self, one: Object, wanted: str) -> Object:
        self.asked.append((str(one["apiVersion"]), wanted))
        return convert(one, wanted)


def convert(one: Object, wanted: str) -> Object:
    """The object in the wanted version, ``round-trip.example.org/v1`` or ``…/v2``."""
    spec = dict(one.get("spec") or {})
    if wanted == f"{GROUP}/v2" and "address" not in spec:
        spec["address"] = f"{spec.pop('host')}:{spec.pop('port')}"
    elif wanted == f"{GROUP}/v1" and "address" in spec:
        host, _, port = str(spec.pop("address")).rpartition(":")
        spec |= {"host": host, "port": int(port)}
    return {**one, "apiVersion": wanted, "spec": spec}


def _handler(converter: Converter) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        # One connection for each request: one that stays would be answered after the block's end.
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            answer = json.dumps(converter.answer(json.loads(self.rfile.read(length)))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Nowhere."""

    return Handler
