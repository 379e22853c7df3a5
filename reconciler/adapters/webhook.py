"""One webhook: whoever knows the key says "look now", and nothing more.

What is sent is never parsed and never believed: it is hashed, and forgotten. A replay, or a key
that got known, costs a look at the Git remote, whose number the loop bounds. Answers are a status
and nothing else. The path is made of the key, so that who has not seen it can't even ask.

Signatures: ``X-Hub-Signature-256: sha256=<hex>`` of GitHub, Gitea and Forgejo (docs.github.com,
"Validating webhook deliveries"), and the same in ``X-Signature``, as Flux's generic-hmac has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reconciler.model.errors import Refused

MOST_BYTES = 3 * 1024 * 1024
SECONDS = 10.0
"""In which a request has to be sent."""
SHORTEST_KEY = 16
KEY = "token"
"""In the Secret, as Flux's receivers have it."""
_HEADERS = ("x-hub-signature-256", "x-signature")
_PATH = b"backstay/v1|webhook path|"


def key_of(data: Mapping[str, bytes], source: str) -> bytes:
    """The key in a Secret. Raises Refused where there is none, or a guessable one."""
    key = (data.get(KEY) or data.get(KEY.upper()) or b"").strip()
    if len(key) < SHORTEST_KEY:
        what = f"is shorter than {SHORTEST_KEY} bytes" if key else "is not there"
        raise Refused(
            f"the webhook's key {KEY!r} in {source} {what}",
            hint="make one with `openssl rand -hex 32`, and give the same to the Git host",
        )
    return key


def path_of(key: bytes) -> str:
    """Where the webhook with this key is. It tells nothing about the key, and signs nothing.

    Logs and the Git host show it. So it is made with a key of its own: made with the webhook's,
    it would be the signature of a body.
    """
    own = hashlib.sha256(_PATH + key).digest()
    return "/hook/" + hmac.new(own, _PATH, hashlib.sha256).hexdigest()


class Webhook:
    """An ASGI application; `use` may be called from another thread at any time."""

    def __init__(self, wake: Callable[[], None], *, seconds: float = SECONDS) -> None:
        self._wake = wake
        self._seconds = seconds
        self._key = b""

    def use(self, key: bytes) -> None:
        """This key from now on, and no other; an empty one closes the webhook."""
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        status = await self._status(Request(scope, receive))
        headers = {"Allow": "POST"} if status == 405 else {}
        if status in {408, 413}:
            headers["Connection"] = "close"  # the rest of what is sent is not read
        await Response(status_code=status, headers=headers)(scope, receive, send)

    async def _status(self, request: Request) -> int:
        key = self._key
        if not key or not hmac.compare_digest(request.url.path.encode(), path_of(key).encode()):
            return 404
        if request.method != "POST":
            return 405
        if _declared(request) > MOST_BYTES:
            return 413
        signatures = _signatures(request)
        if not signatures:
            return 401
        try:
            async with asyncio.timeout(self._seconds):
                found = await _sign(request, key)
        except TimeoutError:
            return 408
        except ClientDisconnect:
            return 400
        if found is None:
            return 413
        if not any(hmac.compare_digest(found, given) for given in signatures):
            return 401
        self._wake()
        return 202


def _declared(request: Request) -> int:
    """The length it says it has; 0 where it says none."""
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _signatures(request: Request) -> list[bytes]:
    """Those that look like one, at most one per header."""
    given = (request.headers.get(name, "") for name in _HEADERS)
    return [
        value.removeprefix("sha256=").lower().encode()
        for value in given
        if value.startswith("sha256=") and value.isascii()
    ]


async def _sign(request: Request, key: bytes) -> bytes | None:
    """The body's HMAC in hex; None if it is too long."""
    digest, length = hmac.new(key, digestmod=hashlib.sha256), 0
    async for part in request.stream():
        length += len(part)
        if length > MOST_BYTES:
            return None
        digest.update(part)
    return digest.hexdigest().encode()
