"""A WebSocket server that follows a script, for rare failures of a real one.

Each connection is handled by the next function of the script; it speaks the protocol through a `Peer`.
"""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from websockets.asyncio import server as asyncio_server
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.servers.loops import LoopServer
from tests.servers.tls import server_side
from tests.waiting import SECONDS


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    @property
    def headers(self) -> dict[str, str]:
        assert self._connection.request is not None
        return {name.lower(): value for name, value in self._connection.request.headers.raw_items()}

    def take(self, kind: str) -> dict[str, Any]:
        """The client's next frame, which must be of that type."""
        frame = json.loads(self._connection.recv(timeout=SECONDS))
        assert frame["type"] == kind, frame
        return frame

    def send(self, **frame: Any) -> None:
        self._connection.send(json.dumps(frame))

    def send_raw(self, data: str | bytes) -> None:
        self._connection.send(data)

    def subscribed(self, topic: str, seq: int, *, epoch: str = "e1", recovered: bool = True) -> None:
        self.send(type="subscribed", channel="workflows", topic=topic, seq=seq, epoch=epoch, recovered=recovered)

    def event(self, topic: str, seq: int, *, snapshot: bool = False, **data: Any) -> None:
        extra = {"snapshot": True} if snapshot else {}
        self.send(
            type="event", channel="workflows", topic=topic, data=data, seq=seq, ts="2026-01-01T00:00:00Z", **extra
        )

    def close(self, code: int, reason: str = "") -> None:
        self._connection.close(code, reason)

    def drop(self) -> None:
        """Cut the connection without a close frame."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)

    def wait_until_gone(self) -> None:
        """Wait until the client disconnects; what it still sends is discarded."""
        while True:
            try:
                self._connection.recv(timeout=SECONDS)
            except ConnectionClosed:
                return


Act = Callable[[Peer], None] | HTTPStatus


class ScriptedServer:
    """Plays one act a connection: a function, or an HTTP status that refuses the upgrade.

    On leaving, what failed in an act is raised, and so is an act that was never played.
    """

    def __init__(self, acts: Sequence[Act]) -> None:
        self._acts = list(acts)
        self._failures: list[BaseException] = []
        self._played = 0
        self._lock = threading.Lock()
        self._server = serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._handle_upgrade,
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(SECONDS)
        if kind is None:
            if self._failures:
                raise self._failures[0]
            assert self._played == len(self._acts), f"{self._played} of {len(self._acts)} acts were played"

    def _handle_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        with self._lock:
            act = self._acts[self._played] if self._played < len(self._acts) else HTTPStatus.GONE
            self._played += 1
        if isinstance(act, HTTPStatus):
            return connection.respond(act, "no")
        connection.act = act  # type: ignore[attr-defined]
        return None

    def _handle(self, connection: ServerConnection) -> None:
        try:
            connection.act(Peer(connection))  # type: ignore[attr-defined]
        except ConnectionClosed:
            pass
        except BaseException as error:
            self._failures.append(error)


class RepeatingServer(LoopServer):
    """Answers each frame over TLS with the same one, always with one thread."""

    def __init__(self, certificate: Path, frame: dict[str, Any]) -> None:
        super().__init__()
        self._context = server_side(certificate)
        self._frame = json.dumps(frame)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def listen(self) -> asyncio_server.Server:
        """Open the port."""
        return await asyncio_server.serve(self._answer, "127.0.0.1", 0, ssl=self._context, ping_interval=None)

    async def _answer(self, connection: asyncio_server.ServerConnection) -> None:
        async for _ in connection:
            await connection.send(self._frame)
