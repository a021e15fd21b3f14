"""One WebSocket. It has a greenlet only while there is data to read or the peer is slow, so an idle one is cheap."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gevent
import gevent.socket
import structlog
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from pixelbloom.web.realtime import frames
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.writer import Writer

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 16 * 1024
_READ = 1

GOING_AWAY, NORMAL, POLICY, TOO_BIG, INTERNAL, RESTART, COME_BACK = 1001, 1000, 1008, 1009, 1011, 1012, 1013
#: Never sent: counts sockets that ended without a close frame.
ABNORMAL = 1006


class TooBig(Exception):
    """A message over the limit."""


class Inbox:
    """The message being assembled, and the number of frames the peer may still send."""

    __slots__ = ("_allowance", "_allowance_at", "_limits", "_parts", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._allowance = float(limits.frames_at_once)
        self._allowance_at = time.monotonic()

    def add(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """Add a message or a fragment. Return the complete message, b"" for a binary one, or None. Raises TooBig."""
        self._size += len(event.data.encode()) if isinstance(event.data, str) else len(event.data)
        if self._size > self._limits.message_bytes:
            raise TooBig
        if isinstance(event.data, str) and event.data:
            self._parts.append(event.data)
        if not event.message_finished:
            return None
        whole = b"" if isinstance(event, BytesMessage) else "".join(self._parts)
        self.clear()
        return whole

    def clear(self) -> None:
        """Discard the message being assembled."""
        self._parts.clear()
        self._size = 0

    def allow(self, event: object) -> bool:
        """Count a frame; return whether the peer is within its rate. Chunks of one frame count once."""
        if not getattr(event, "frame_finished", True):
            return True
        now = time.monotonic()
        earned = (now - self._allowance_at) * self._limits.frames_per_second
        self._allowance = min(self._allowance + earned, float(self._limits.frames_at_once)) - 1
        self._allowance_at = now
        return self._allowance >= 0


class Socket(Writer):
    """The server side of a WebSocket whose upgrade was accepted. wsproto parses the peer's frames."""

    __slots__ = (
        "_discarding", "_inbox", "_messages", "_on_close", "_on_end", "_on_message", "_peer_code", "_protocol",
        "close_by", "closing", "pinged_at", "received_at",
    )  # fmt: skip

    def __init__(
        self,
        connection: Any,
        *,
        limits: Limits,
        on_close: Callable[[int], None] = lambda _: None,
        stats: Stats,
    ) -> None:
        super().__init__(connection, limits, stats)
        self._on_close = on_close
        self._messages: list[str | bytes] = []
        self._inbox = Inbox(limits)
        self._discarding = False
        self._peer_code: int | None = None
        #: The code of our close frame, once it is queued.
        self.closing: int | None = None
        self.close_by = 0.0
        self.received_at = self.pinged_at = time.monotonic()
        self._on_message: Callable[[str | bytes], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._protocol = Connection(ConnectionType.SERVER)  # without extensions, as the upgrade was accepted

    # Reading

    def start_reading(self, on_message: Callable[[str | bytes], None], on_end: Callable[[], None]) -> None:
        """Call `on_message` with each message, one at a time, and `on_end` once after the last.

        Returns at once. The socket closes itself at the end.
        """
        self._on_message, self._on_end = on_message, on_end
        self._watcher = gevent.get_hub().loop.io(self._sock.fileno(), _READ)
        gevent.spawn(self._read_messages)

    def _readable(self) -> None:
        """Spawn a greenlet to read: the event loop itself must not block."""
        self._watcher.stop()
        gevent.spawn(self._read_messages)

    def _read_messages(self) -> None:
        try:
            while (message := self._next()) is not None:
                assert self._on_message is not None
                self._on_message(message)
        except Exception:
            log.exception("socket_failed")
            self.abort()
        if not self._ended:
            self._watcher.start(self._readable)
            return
        try:
            self.finish()
        finally:
            assert self._on_end is not None
            self._on_end()

    def _next(self) -> str | bytes | None:
        """Return the peer's next message, or None if there is none now or the socket has ended."""
        while not self._messages:
            if self._peer_code is not None:
                self._confirm_close(self._peer_code)
            if self._ended:
                return None
            try:
                data = os.read(self._sock.fileno(), RECEIVE_BYTES)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            if not data:
                self._ended = True
                return None
            self.received_at = time.monotonic()
            if not self._discarding:
                self._feed(data)
            if len(data) == RECEIVE_BYTES:
                gevent.sleep(0)  # a peer that sends without pause must not block others
        return self._messages.pop(0)

    def _feed(self, data: bytes) -> None:
        try:
            self._protocol.receive_data(data)
            self._handle_events()
        except Exception:
            log.exception("socket_read_failed")
            self._fail(INTERNAL, "")
        self.flush()

    def _handle_events(self) -> None:
        for event in self._protocol.events():
            if isinstance(event, CloseConnection):
                self._peer_closes(int(event.code), by_peer=self._protocol.state is ConnectionState.REMOTE_CLOSING)
            elif self.closing is None and isinstance(event, TextMessage | BytesMessage):
                self._receive(event)
            elif self.closing is None and isinstance(event, Ping):
                self.push(frames.pong(bytes(event.payload)))
            if self.closing is None and not self._inbox.allow(event):
                self._fail(COME_BACK, "too many frames: send fewer a second")
            if self._discarding or self._ended:
                return

    def _receive(self, event: TextMessage | BytesMessage) -> None:
        try:
            message = self._inbox.add(event)
        except TooBig:
            self._fail(TOO_BIG, f"a message may have {self._limits.message_bytes} bytes")
        else:
            if message is not None:
                self._messages.append(message)

    def _peer_closes(self, code: int, *, by_peer: bool) -> None:
        if by_peer:
            self._peer_code = code
        else:
            self._fail(code, "the frames do not follow RFC 6455")
            self._half_close()
        self._discarding = True

    def _confirm_close(self, code: int) -> None:
        """Confirm the peer's close frame, after its earlier messages were handled."""
        if self.closing is None:
            self._on_close(code)
            self._begin_close(code, frames.close(code))
        self._ended = True

    def _fail(self, code: int, reason: str) -> None:
        """Close, and ignore everything from the peer except its close."""
        self.close(code, reason)
        self._messages.clear()
        self._inbox.clear()

    def _half_close(self) -> None:
        """Shut down our sending side: nothing can be parsed any more, not even the peer's close frame."""
        if self._writing is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    # Writing

    def push(self, frame: Frame | bytes) -> None:
        """Queue a frame or a pong; `flush` writes it. A peer that is too slow is closed with 1013."""
        if self.closing is None:
            self._enqueue(frame)

    def send(self, data: Frame) -> None:
        """Queue a frame and write what the kernel accepts."""
        self.push(data)
        self.flush()

    def ping(self) -> None:
        """Send a ping."""
        if self.closing is None:
            self.pinged_at = time.monotonic()
            self._append(frames.PING)
            self.flush()

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Send a close frame after what is queued. The peer's close, or `close_seconds`, ends the socket."""
        if self.closing is None:
            code = reason or NORMAL
            self._on_close(code)
            self._begin_close(code, frames.close(code, message or ""))

    def await_end(self) -> None:
        """After `close`: read until the peer closes too, for at most `close_seconds`."""
        with gevent.Timeout(self._limits.close_seconds, False):
            while not self._ended:
                if self._next() is None and not self._ended:
                    gevent.socket.wait_read(self._sock.fileno())

    def _begin_close(self, code: int, wire: bytes) -> None:
        self.closing = code
        self.close_by = time.monotonic() + self._limits.close_seconds
        self._append(wire)
        self.flush()

    def _wire(self, frame: Frame) -> bytes:
        return frame.wire

    def _may_write_after_end(self) -> bool:
        return self.closing is not None

    def _on_overflow(self, lost: Sequence[Frame]) -> None:
        first = next((frame for frame in lost if frame.seq), None)
        where = f"; last seq {first.seq - 1}" if first else ""
        self.close(COME_BACK, f"too slow: subscribe again with since{where}")
