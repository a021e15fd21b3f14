"""One WebSocket. It has a greenlet only while there is something to read or the peer is slow: an idle one is cheap."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import gevent
import gevent.socket
import structlog
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from pixelbloom.web.realtime import frames, handshake
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.inbox import Inbox, TooBig
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.stats import Stats

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 16 * 1024
WRITE_BYTES = 64 * 1024
_READ = 1

GOING_AWAY, NORMAL, POLICY, TOO_BIG, INTERNAL, RESTART, COME_BACK = 1001, 1000, 1008, 1009, 1011, 1012, 1013
#: Never sent: how an end without a close frame is counted.
ABNORMAL = 1006


class Socket:
    """A server's end of a WebSocket on gunicorn's gevent worker.

    wsproto answers the upgrade and reads frames. What is pushed is written at once as far as the kernel takes it; the
    rest, and what comes meanwhile, is one greenlet's work until the peer has caught up.
    """

    __slots__ = (
        "_discarding", "_ended", "_heard", "_inbox", "_limits", "_messages", "_on_close", "_on_end", "_peer_code",
        "_protocol", "_queue", "_rest", "_sock", "_stats", "_watcher", "_writer", "close_by", "closing", "heard_at",
        "pinged_at", "waiting_bytes",
    )  # fmt: skip

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        subprotocol: str | None,
        limits: Limits,
        on_close: Callable[[int], None] = lambda _: None,
        stats: Stats,
    ) -> None:
        """Answer the upgrade. Raises wsproto's RemoteProtocolError where the request is no proper one.

        The connection is duplicated: gunicorn closes its own when the request has ended.
        """
        self._limits = limits
        self._on_close = on_close
        self._stats = stats
        self._queue: list[Frame | bytes] = []
        #: Queued, or on its way in a write that is not done.
        self.waiting_bytes = 0
        self._rest: bytes | memoryview = b""
        self._writer: Any = None
        self._messages: list[str | bytes] = []
        self._inbox = Inbox(limits)
        self._discarding = False
        self._peer_code: int | None = None
        self._ended = False
        #: The code of our close frame, once it is on its way.
        self.closing: int | None = None
        self.close_by = 0.0
        self.heard_at = self.pinged_at = time.monotonic()
        self._watcher: Any = None
        self._heard: Callable[[str | bytes], None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._protocol, accepted = handshake.accept(environ, subprotocol)
        self._sock = environ["gunicorn.socket"].dup()
        try:
            if limits.send_buffer_bytes:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
            self._sock.sendall(accepted)
        except OSError:
            self._ended = True

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
        if self._writer is None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    # Writing

    def push(self, frame: Frame | bytes) -> None:
        """Queue a frame, pongs too; `flush` writes it. A peer that does not keep up is closed 1013."""
        if self.closing is None:
            self._append(frame)
            if self.waiting_bytes > self._limits.queue_bytes and len(self._queue) > 1:
                self._relieve()

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

    def abort(self) -> None:
        """End the connection now, close frame or not; wakes whoever reads or writes."""
        self._ended = True
        self._queue.clear()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def await_end(self) -> None:
        """After `close`: read until the peer ends it too, for at most `close_seconds`."""
        with gevent.Timeout(self._limits.close_seconds, False):
            while not self._ended:
                if self._next() is None and not self._ended:
                    gevent.socket.wait_read(self._sock.fileno())

    def finish(self) -> None:
        """Let the last bytes go, for at most `close_seconds`. After this nothing is written."""
        self.flush()
        writer = self._writer
        if writer is not None:
            writer.join(self._limits.close_seconds)
        self.abort()
        if writer is not None:
            writer.kill()
        if self._watcher is not None:
            self._watcher.close()
        self._sock.close()

    def flush(self) -> None:
        """Write what is queued, without waiting."""
        if self._writer is not None or not self._queue:
            return
        if self._ended and self.closing is None:
            self._queue.clear()
            return
        data = self._gather(self._limits.queue_bytes)
        try:
            written = os.write(self._sock.fileno(), data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.abort()
            return
        if written < len(data) or self._queue:
            self._rest = memoryview(data)[written:]
            self.waiting_bytes += len(self._rest)
            self._writer = gevent.spawn(self._write_rest)

    def _write_rest(self) -> None:
        try:
            while self._rest or self._queue:
                if not self._rest:
                    self._rest = self._gather(WRITE_BYTES)
                    self.waiting_bytes += len(self._rest)
                self._sock.sendall(self._rest)
                self.waiting_bytes -= len(self._rest)
                self._rest = b""
        except OSError:
            self._rest = b""
            self.abort()
        finally:
            self._writer = None

    def _gather(self, limit: int) -> bytes:
        """Take from the queue what goes in one write: at least one frame, about `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        for item in self._queue:
            wire = item if isinstance(item, bytes) else item.wire
            parts.append(wire)
            size += len(wire)
            if size >= limit:
                break
        del self._queue[: len(parts)]
        self.waiting_bytes -= size
        self._stats.frames_sent += len(parts)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _append(self, item: Frame | bytes) -> None:
        self._queue.append(item)
        self.waiting_bytes += len(item if isinstance(item, bytes) else item.wire)

    def _begin_close(self, code: int, wire: bytes) -> None:
        self.closing = code
        self.close_by = time.monotonic() + self._limits.close_seconds
        self._append(wire)
        self.flush()

    def _relieve(self) -> None:
        """Make room: write what the kernel takes, then merge deltas; a peer that is still behind has to come back."""
        self.flush()
        if self.waiting_bytes <= self._limits.queue_bytes:
            return
        told = [item for item in self._queue if isinstance(item, Frame)]
        kept = frames.merge_deltas(told)
        self._stats.merged += len(told) - len(kept)
        controls = [item for item in self._queue if isinstance(item, bytes)]
        self.waiting_bytes = len(self._rest)
        self._queue = []
        for control in controls:
            self._append(control)
        for frame in kept:
            self._append(frame)
        if self.waiting_bytes > self._limits.queue_bytes * 3 // 4:
            lost = next((frame for frame in kept if frame.seq), None)
            self._stats.overflowed += len(kept)
            self._queue.clear()
            self.waiting_bytes = len(self._rest)
            where = f"; last seq {lost.seq - 1}" if lost else ""
            self.close(COME_BACK, f"too slow: subscribe again with since{where}")
