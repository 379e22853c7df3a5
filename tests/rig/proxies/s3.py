"""A proxy in front of S3: answers errors as S3 does, cuts, delays, and loses objects.

Signatures hold: requests are signed for the host that the client names, and the server is told
that name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aiohttp import web

from tests.rig.proxies.http import HttpProxy
from tests.rig.proxies.rules import Answer

_TEXTS = {
    403: ("AccessDenied", "Access Denied."),
    404: ("NoSuchKey", "The specified key does not exist."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}


@dataclass(frozen=True, slots=True)
class Lose:
    """An upload is answered as done, and nothing is stored."""


class S3Proxy(HttpProxy):
    """In front of the server at ``upstream``; `repository` is what restic is told."""

    def repository(self, bucket: str, *parts: str) -> str:
        """A restic URL below a bucket, by way of the proxy."""
        return f"s3:{'/'.join([self.url, bucket, *parts])}"

    @staticmethod
    def error(status: int) -> Answer:
        """An answer as S3 gives it: 403, 404, 500 or 503."""
        code, message = _TEXTS[status]
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message>"
            "<Resource>/</Resource><RequestId>rig</RequestId></Error>"
        )
        return Answer(status, body.encode(), {"Content-Type": "application/xml"})

    async def special(self, does: object, request: web.Request) -> web.StreamResponse | None:
        """Lose an object."""
        if not isinstance(does, Lose):
            return await super().special(does, request)
        digest = hashlib.md5(await request.read(), usedforsecurity=False).hexdigest()
        return web.Response(status=200, headers={"ETag": f'"{digest}"'})
