"""An event loop in a thread of its own: proxies run there while a test waits for something else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
_SECONDS = 300.0
_STEP_SECONDS = 5.0


class Looped:
    """Serves between `start` and `stop`; a subclass says how in `_up` and `_down`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()
        self._do(self._up())

    def stop(self) -> None:
        """End every connection, and the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there, wait for it here."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _end(self) -> None:
        """Nothing that a client holds open may keep us: each step has its time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._down(), _STEP_SECONDS)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_STEP_SECONDS)
        # Also connections whose TLS has only begun: no server object knows of them.
        transports: Mapping[int, asyncio.Transport] = getattr(self._loop, "_transports", {})
        for transport in list(transports.values()):
            transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)

    async def _up(self) -> None:
        raise RuntimeError("a subclass says how")

    async def _down(self) -> None:
        raise RuntimeError("a subclass says how")
