"""Servers of asyncio, each with a loop in a thread of its own.

Those that speak TLS do so here: until Python 3.13 two threads that use one TLS connection break it.
"""

import asyncio
import threading
from collections.abc import Sequence
from socket import socket
from typing import Protocol, Self

from tests.waiting import SECONDS


class Listener(Protocol):
    """A server of asyncio or of websockets."""

    @property
    def sockets(self) -> Sequence[socket]: ...

    def close(self) -> None: ...


class LoopServer:
    """Listens on `port` of loopback while it is entered."""

    port: int
    _loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    def __init__(self) -> None:
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def listen(self) -> Listener:
        """Open the port."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(SECONDS), "the server does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(SECONDS)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = await self.listen()
        self.port = listener.sockets[0].getsockname()[1]
        self._listens.set()
        await self._stop.wait()
        listener.close()
