"""``/healthz``, ``/readyz`` and ``/metrics``: for the kubelet, for people and for Prometheus.

They hold nothing that is secret, and take nothing from who asks. No answer waits for anything.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp


def make_pages(
    *,
    alive: Callable[[], str],
    missing: Callable[[], tuple[str, ...]],
    wanting: Callable[[], tuple[str, ...]] = tuple,
    metrics: Callable[[], tuple[bytes, str]],
) -> ASGIApp:
    """``alive``: empty, or what is wrong; ``missing``: in words; ``metrics``: text and type.

    ``wanting``: what is not as it should be, and yet it is ready.
    """

    async def healthz(_: Request) -> Response:
        wrong = alive()
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    async def readyz(_: Request) -> Response:
        lacking = missing()
        told = lacking or ("ok", *wanting())
        return PlainTextResponse("".join(f"{one}\n" for one in told), 503 if lacking else 200)

    async def show_metrics(_: Request) -> Response:
        text, media_type = metrics()
        return Response(text, media_type=media_type)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ]
    )
