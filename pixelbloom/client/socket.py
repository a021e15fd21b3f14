"""One WebSocket channel as an iterator of events that outlives its connections."""

import json
import selectors
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import websocket
from websocket import ABNF

from pixelbloom.client import frames
from pixelbloom.client.api import check_base_url
from pixelbloom.client.cursor import Cursor
from pixelbloom.client.errors import SocketRejected
from pixelbloom.client.token import Token, read, seconds_left
from pixelbloom.core.addresses import is_loopback
from pixelbloom.core.backoff import Backoff
from pixelbloom.errors import Unavailable

CONNECT_SECONDS = 10.0
#: The first pause before another connection, and the longest.
RECONNECT_SECONDS = (0.5, 20.0)
#: Seconds without a frame before a ping is sent; after twice that the connection is lost.
PING_SECONDS = 20.0
#: A connection of at least this many seconds was stable: the next delay starts from the first again.
STABLE_SECONDS = 10.0
#: Seconds before a token expires at which a fresh one is sent, where the client has a function for it.
RENEW_SECONDS = 30.0

#: Protocol errors and refused messages: the same frames would end the same way.
_FINAL_CODES = frozenset({1002, 1003, 1007, 1008, 1009, 1010})
#: Statuses of the upgrade that may change on the next attempt.
_PASSING_STATUSES = frozenset({408, 425, 429})
#: Errors about a topic that are temporary.
_PASSING_PROBLEMS = frozenset({"UNAVAILABLE", "INTERNAL", "RATE_LIMITED"})
_CLOSE_REASONS = {1001: "the server went away", 1012: "the server restarts", 1013: "the server could not keep up"}


class _Dropped(Exception):
    """The connection is lost, and a new one may succeed."""

    def __init__(self, reason: str, close_code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code


class SocketClient:
    """A channel (`workflows`, `notifications`, `analytics`) of the API at `base_url`.

    `events()` yields every event once and in order. It reconnects by itself after a lost connection and after
    close codes like 1001, 1012 and 1013, and resumes each topic by its seq and epoch. It ends with
    SocketRejected on 1008 and other refusals, and with Unavailable after `give_up_after` seconds without a
    connection (None: never).

    One thread iterates; `subscribe`, `unsubscribe` and `close` may be called from any other. While the
    iterating thread is busy elsewhere, pings go unanswered: the server may then drop the connection, and
    nothing is lost by it.
    """

    def __init__(
        self,
        base_url: str,
        channel: str,
        token: Token,
        *,
        give_up_after: float | None = None,
        backoff: Backoff | None = None,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        # http becomes ws, https becomes wss.
        self._url = f"ws{check_base_url(base_url).removeprefix('http')}/api/ws/{channel}"
        # Proxies of the environment are for other machines. The library heeds `http_no_proxy` beside a proxy only.
        direct = {"http_proxy_host": "unused", "http_no_proxy": ["*"]}
        self._proxy: dict[str, Any] = direct if is_loopback(urlsplit(base_url).hostname) else {}
        self._token = token
        self._give_up_after = give_up_after
        self._backoff = backoff or Backoff(*RECONNECT_SECONDS)
        self._ping_seconds = ping_seconds
        self._lock = threading.Lock()
        # Until Python 3.13 a TLS connection breaks when one thread reads while another writes.
        self._io = threading.Lock()
        self._cursors: dict[str, Cursor] = {}
        self._socket: websocket.WebSocket | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(
        self,
        topic: str,
        params: Mapping[str, Any] | None = None,
        *,
        since: int | None = None,
        epoch: str | None = None,
    ) -> None:
        """Subscribe to a topic now, or when connected; `since` and `epoch` resume what an earlier client saw."""
        cursor = Cursor(topic, params, since=since, epoch=epoch)
        with self._lock:
            self._cursors[topic] = cursor
            self._send(cursor.request())

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        with self._lock:
            if self._cursors.pop(topic, None) is not None:
                self._send({"type": "unsubscribe", "topic": topic})

    def position(self, topic: str) -> tuple[int | None, str | None]:
        """Return the seq and epoch to resume a topic from: those of the last event that `events()` yielded."""
        cursor = self._cursors.get(topic)
        return (None, None) if cursor is None else (cursor.seq, cursor.epoch)

    def close(self) -> None:
        """End `events()`, also from another thread while it waits."""
        self._closed.set()
        with self._lock:
            if self._socket is not None:
                self._socket.abort()

    def events(self) -> Iterator[frames.Event]:
        """Yield the server's events, `Connected` when a connection is open, and `Lost` when it is lost."""
        lost_at = time.monotonic()
        while not self._closed.is_set():
            try:
                socket = self._connect()
                connected_at = time.monotonic()
                try:
                    yield frames.Connected()
                    yield from self._read(socket)
                finally:
                    self._release(socket)
                    lost_at = time.monotonic()
                    if lost_at - connected_at >= STABLE_SECONDS:
                        self._backoff.reset()
            except _Dropped as drop:
                if self._closed.is_set():
                    return
                out_for = time.monotonic() - lost_at
                if self._give_up_after is not None and out_for >= self._give_up_after:
                    raise Unavailable(f"No connection for {out_for:.0f} s: {drop.reason.removesuffix('.')}.") from drop
                delay = self._backoff.next()
                yield frames.Lost(drop.close_code, drop.reason, delay)
                self._closed.wait(delay)

    def _connect(self) -> websocket.WebSocket:
        socket = websocket.WebSocket()
        try:
            # No Origin: that header is for browsers, and a server checks it where it comes.
            socket.connect(
                self._url,
                timeout=CONNECT_SECONDS,
                header={"Authorization": f"Bearer {read(self._token)}"},
                suppress_origin=True,
                redirect_limit=0,
                **self._proxy,
            )
        except websocket.WebSocketBadStatusException as error:
            status = error.status_code
            if status < 400 or (status < 500 and status not in _PASSING_STATUSES):
                raise SocketRejected(
                    f"{self._url} returned {status} instead of opening a WebSocket; check the address and the token.",
                    close_code=None,
                ) from None
            raise _Dropped(f"the server returned {status}") from None
        except (websocket.WebSocketException, OSError) as error:
            raise _Dropped(f"cannot connect{_why(error)}") from None
        with self._lock:
            if self._closed.is_set():
                socket.shutdown()
                raise _Dropped("closed")
            self._socket = socket
            for cursor in self._cursors.values():
                self._send(cursor.request())
        return socket

    def _release(self, socket: websocket.WebSocket) -> None:
        """Send a close frame if connected, without waiting for a response."""
        with self._lock:
            self._socket = None
            if socket.connected:
                with suppress(websocket.WebSocketException, OSError), self._io:
                    socket.send_close()
            socket.shutdown()

    def _send(self, frame: Mapping[str, Any]) -> None:
        """Send where connected; the lock is held. A lost connection shows at the next read."""
        if self._socket is None:
            return
        try:
            with self._io:
                self._socket.send(json.dumps(frame))
        except (websocket.WebSocketException, OSError):
            self._socket.abort()

    def _read(self, socket: websocket.WebSocket) -> Iterator[frames.Event]:
        if socket.sock is None:
            raise _Dropped("the connection is closed")
        with selectors.DefaultSelector() as readable:
            readable.register(socket.sock, selectors.EVENT_READ)
            yield from self._frames(socket, readable)

    def _frames(self, socket: websocket.WebSocket, readable: selectors.BaseSelector) -> Iterator[frames.Event]:
        received_at, asked = time.monotonic(), False
        renew_at = self._renewal()
        rejection = ""
        while True:
            now = time.monotonic()
            if renew_at is not None and now >= renew_at:
                with self._lock:
                    self._send({"type": "auth", "token": read(self._token)})
                renew_at = self._renewal()
            due = received_at + self._ping_seconds * (2 if asked else 1)
            if now >= due:
                if asked:
                    raise _Dropped("the server is silent")
                with self._lock:
                    self._send({"type": "ping"})
                asked = True
                continue
            try:
                if not self._buffered(socket) and not readable.select(min(due, renew_at or due) - now):
                    continue
                with self._io:
                    opcode, received = socket.recv_data_frame(control_frame=True)
            except websocket.WebSocketTimeoutException:
                continue
            except (websocket.WebSocketException, OSError, AttributeError) as error:
                # AttributeError: another thread closed the socket between two looks at it.
                raise _Dropped(f"the connection broke{_why(error)}") from None
            received_at, asked = time.monotonic(), False
            if opcode == ABNF.OPCODE_CLOSE:
                raise _ending(received.data, rejection)
            if opcode != ABNF.OPCODE_TEXT:
                continue
            event = self._take(received.data)
            if isinstance(event, frames.Problem) and event.code == "UNAUTHORIZED":
                rejection = event.message
            if event is not None:
                yield event

    def _buffered(self, socket: websocket.WebSocket) -> bool:
        """Return whether TLS has received bytes that are not read yet, of which the system does not know."""
        with self._io:
            return isinstance(socket.sock, ssl.SSLSocket) and socket.sock.pending() > 0

    def _take(self, data: bytes) -> frames.Event | None:
        """Return the event of a text frame, or None if it is not to be delivered."""
        try:
            frame = frames.parse(json.loads(data))
        except (ValueError, RecursionError):
            raise _Dropped("the server sent what is not JSON") from None
        topic = getattr(frame, "topic", None)
        with self._lock:
            cursor = self._cursors.get(topic) if topic is not None else None
            match frame:
                case frames.TopicEvent():
                    # An event of a topic just unsubscribed may still be in flight.
                    return frame if cursor is not None and cursor.admit(frame) else None
                case frames.Subscribed():
                    if cursor is None:
                        return None
                    cursor.joined(frame)
                case frames.Problem() if topic is not None:
                    if frame.code in _PASSING_PROBLEMS and cursor is not None:
                        raise _Dropped(frame.message or frame.code)
                    self._cursors.pop(topic, None)
                case frames.Pong():
                    return None
        return frame

    def _renewal(self) -> float | None:
        """Return when to send a fresh token, in seconds of the monotonic clock."""
        if not callable(self._token):
            return None
        left = seconds_left(self._token())
        # Not more often than once a second, whatever the function gives.
        return None if left is None else time.monotonic() + max(1.0, left - RENEW_SECONDS, left / 2)


def _ending(payload: bytes, rejection: str) -> Exception:
    """Return the exception for a close frame."""
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
    reason = payload[2:].decode(errors="replace") or rejection
    if code not in _FINAL_CODES:
        return _Dropped(reason or _CLOSE_REASONS.get(code, f"the server closed with {code}"), code)
    if code == 1008:
        words = "The server refuses this token for this channel; get a fresh one, or one with the scope needed"
    else:
        words = f"The server refuses what this client sent (close code {code})"
    because = f": {reason.removesuffix('.')}" if reason else ""
    return SocketRejected(f"{words}{because}.", close_code=code)


def _why(error: Exception) -> str:
    """Return the system's description of the error, or an empty text."""
    return f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
