"""The few requests the rig itself makes to the apiserver while a cluster comes up."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.rig.cluster.errors import RigError

PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Api:
    """Speaks with one apiserver as an administrator, by certificate files in `folder`."""

    server: str
    folder: Path

    def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Return the status and the object; status 0 when nobody answers."""
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        trust.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        where = urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=trust, timeout=60
        )
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()
        found = json.loads(text) if text.startswith(b"{") else {}
        return answer.status, found

    def ready(self) -> bool:
        """Whether the apiserver says it is ready."""
        return self.request("GET", "/readyz")[0] == http.HTTPStatus.OK

    def node_ready(self, name: str) -> bool:
        """Whether the node's condition Ready is True."""
        code, found = self.request("GET", f"/api/v1/nodes/{name}")
        conditions = found.get("status", {}) if code == 200 else {}
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in conditions.get("conditions", [])
        )

    def exists(self, path: str) -> bool:
        """Whether the object at this path is there."""
        return self.request("GET", path)[0] == http.HTTPStatus.OK

    def create(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object; one that is there already is left as it is."""
        status, found = self.request("POST", path, body)
        if status not in {http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT}:
            raise RigError(f"could not create {body['kind']}: {status} {found.get('message', '')}")


def wait_until(
    ready: Callable[[], bool], what: str, seconds: float, log: Callable[[], str]
) -> None:
    """Poll until it is so; the error shows the log of who was waited for."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise RigError(f"{what}: not within {seconds:.0f} s", hint=log())
        time.sleep(PAUSE_SECONDS)
