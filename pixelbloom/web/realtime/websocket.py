"""One WebSocket. It has a greenlet only while there is something to read or the peer is slow: an idle one is cheap."""

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
from pixelbloom.web.realtime.inbox import Inbox, TooBig
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.writer import Writer

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 16 * 1024
_READ = 1

GOING_AWAY, NORMAL, POLICY, TOO_BIG, INTERNAL, RESTART, COME_BACK = 1001, 1000, 1008, 1009, 1011, 1012, 1013
#: Never sent: how an end without a close frame is counted.
ABNORMAL = 1006


class Socket(Writer):
    """A server's end of a WebSocket whose upgrade was accepted. wsproto reads the frames of the peer."""

    __slots__ = (
        "_discarding", "_heard", "_inbox", "_messages", "_on_close", "_on_end", "_peer_code", "_protocol", "close_by",
        "closing", "heard_at", "pinged_at",
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
        #: The code of our close frame, once it is on its way.
        self.closing: int | None = None
        self.close_by = 0.0
        self.heard_at = self.pinged_at = time.monotonic()
        self._heard: Callable[[str | bytes], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._protocol = Connection(ConnectionType.SERVER)  # without extensions, as the upgrade was accepted

    # Reading

    def follow(self, heard: Callable[[str | bytes], None], ended: Callable[[], None]) -> None:
        """Hand each message to `heard`, one after the other, and call `ended` once, when there will be no more.

        Returns at once. The socket closes itself at its end.
        """
        self._heard, self._on_end = heard, ended
        self._watcher = gevent.get_hub().loop.io(self._sock.fileno(), _READ)
        gevent.spawn(self._converse)

    def _readable(self) -> None:
        """The loop found something to read; it does not wait, so a greenlet reads."""
        self._watcher.stop()
        gevent.spawn(self._converse)

    def _converse(self) -> None:
        try:
            while (message := self._next()) is not None:
                assert self._heard is not None
                self._heard(message)
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
        """The peer's next message. None when there is none now, or will be none any more."""
        while not self._messages:
            if self._peer_code is not None:
                self._answer_close(self._peer_code)
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
            self.heard_at = time.monotonic()
            if not self._discarding:
                self._feed(data)
            if len(data) == RECEIVE_BYTES:
                gevent.sleep(0)  # one who sends without end keeps nobody waiting
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
                self._take(event)
            elif self.closing is None and isinstance(event, Ping):
                self.push(frames.pong(bytes(event.payload)))
            if self.closing is None and not self._inbox.may_speak(event):
                self._fail(COME_BACK, "too many frames: send fewer a second")
            if self._discarding or self._ended:
                return

    def _take(self, event: TextMessage | BytesMessage) -> None:
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

    def _answer_close(self, code: int) -> None:
        """The peer has closed, and what it said before is answered."""
        if self.closing is None:
            self._on_close(code)
            self._begin_close(code, frames.close(code))
        self._ended = True

    def _fail(self, code: int, reason: str) -> None:
        """Close, and heed no more of what the peer says but its end."""
        self.close(code, reason)
        self._messages.clear()
        self._inbox.clear()

    def _half_close(self) -> None:
        """Nothing can be read any more, not even the answer to our close frame: the end of our bytes asks for it."""
        if self._writing is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    # Writing

    def push(self, frame: Frame | bytes) -> None:
        """Queue a frame, pongs too; `flush` writes it. A peer that does not keep up is closed 1013."""
        if self.closing is None:
            self._enqueue(frame)

    def send(self, data: Frame) -> None:
        """Queue a frame and write it as far as the kernel takes it."""
        self.push(data)
        self.flush()

    def ping(self) -> None:
        """Ask the peer whether it is there."""
        if self.closing is None:
            self.pinged_at = time.monotonic()
            self._append(frames.PING)
            self.flush()

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Send a close frame after what is queued. The peer's answer, or `close_seconds`, ends the socket."""
        if self.closing is None:
            code = reason or NORMAL
            self._on_close(code)
            self._begin_close(code, frames.close(code, message or ""))

    def await_end(self) -> None:
        """After `close`: read until the peer ends it too, for at most `close_seconds`."""
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

    def _fall_behind(self, lost: Sequence[Frame]) -> None:
        first = next((frame for frame in lost if frame.seq), None)
        where = f"; last seq {first.seq - 1}" if first else ""
        self.close(COME_BACK, f"too slow: subscribe again with since{where}")
