"""One WebSocket: read in its request's greenlet, written by whoever has something, one at a time, never waiting."""

import os
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import simple_websocket
import structlog
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage

from pixelbloom.web.realtime import frames
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.limits import Limits

log = structlog.get_logger(__name__)

RECEIVE_BYTES = 16 * 1024
WRITE_BYTES = 64 * 1024

GOING_AWAY, NORMAL, POLICY, TOO_BIG, INTERNAL, RESTART, COME_BACK = 1001, 1000, 1008, 1009, 1011, 1012, 1013


class _Nothing:
    """Stands where simple-websocket wants its own thread and event: we read in the request's greenlet."""

    name = ""

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass


class Socket(simple_websocket.Server):  # type: ignore[misc]
    """A server's end of a WebSocket on gunicorn's gevent worker.

    simple-websocket does the handshake and wsproto reads frames; writing is ours, because simple-websocket ignores
    partial writes and lets several greenlets write at once. What is pushed is written at once as far as the kernel
    takes it; the rest, and what comes meanwhile, is one greenlet's work until the peer has caught up.
    """

    def __init__(
        self,
        environ: dict[str, Any],
        *,
        subprotocol: str | None,
        limits: Limits,
        on_close: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Answer the upgrade. Raises wsproto's RemoteProtocolError where the request is no proper one."""
        self._limits = limits
        self._on_close = on_close
        self._queue: deque[Frame | bytes] = deque()
        #: Queued, or on its way in a write that is not done.
        self.waiting_bytes = 0
        self._rest: bytes | memoryview = b""
        self._writer: Any = None
        self._messages: deque[str | bytes] = deque()
        self._parts: list[str | bytes] = []
        self._parts_size = 0
        self._allowance = float(limits.frames_at_once)
        self._allowance_at = time.monotonic()
        self._discarding = False
        self._peer_code: int | None = None
        self._ended = False
        #: The code of our close frame, once it is on its way.
        self.closing: int | None = None
        self.close_by = 0.0
        self.heard_at = self.pinged_at = time.monotonic()
        super().__init__(
            environ,
            subprotocols=[subprotocol] if subprotocol else [],
            max_message_size=limits.message_bytes,
            thread_class=_Nothing,
            event_class=_Nothing,
        )

    # Reading

    def receive(self, timeout: float | None = None) -> str | bytes | None:  # noqa: ARG002  (the library's signature)
        """Wait for the peer's next message. None when there will be no more."""
        while not self._messages:
            if self._peer_code is not None:
                self._answer_close(self._peer_code)
            if self._ended:
                return None
            try:
                data = self.sock.recv(RECEIVE_BYTES)
            except OSError:
                data = b""
            if not data:
                self._ended = True
                return None
            self.heard_at = time.monotonic()
            if not self._discarding:
                self._feed(data)
        return self._messages.popleft()

    def _feed(self, data: bytes) -> None:
        try:
            self.ws.receive_data(data)
            self._handle_events()
        except Exception:
            log.exception("socket_read_failed")
            self._fail(INTERNAL, "")
        self.flush()

    def _handle_events(self) -> bool:
        for event in self.ws.events():
            if isinstance(event, Request):
                self.subprotocol = self.choose_subprotocol(event)
                self.sock.sendall(self.ws.send(AcceptConnection(subprotocol=self.subprotocol)))
            elif isinstance(event, CloseConnection):
                self._peer_closes(int(event.code), by_peer=self.ws.state is ConnectionState.REMOTE_CLOSING)
            elif isinstance(event, TextMessage | BytesMessage):
                self._part(event)
            elif isinstance(event, Ping) and self.closing is None:
                self._append(frames.pong(bytes(event.payload)))
            if not self._may_speak(event):
                self._fail(COME_BACK, "too many frames: send fewer a second")
            if self._discarding or self._ended:
                return False
        return True

    def _part(self, event: TextMessage | BytesMessage) -> None:
        """A message, or a piece of one."""
        if self.closing is not None:
            return
        self._parts_size += len(event.data.encode()) if isinstance(event.data, str) else len(event.data)
        if self._parts_size > self._limits.message_bytes:
            self._fail(TOO_BIG, f"a message may have {self._limits.message_bytes} bytes")
            return
        if event.data:
            self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
        if event.message_finished:
            binary = isinstance(event, BytesMessage)
            self._messages.append(b"" if binary else "".join(part for part in self._parts if isinstance(part, str)))
            self._parts.clear()
            self._parts_size = 0

    def _may_speak(self, event: object) -> bool:
        """Whether the peer keeps to its frames a second; pieces of one frame count once."""
        if self.closing is not None or not getattr(event, "frame_finished", True):
            return True
        now = time.monotonic()
        earned = (now - self._allowance_at) * self._limits.frames_per_second
        self._allowance = min(self._allowance + earned, float(self._limits.frames_at_once)) - 1
        self._allowance_at = now
        return self._allowance >= 0

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
        self._parts.clear()

    def _half_close(self) -> None:
        """Nothing can be read any more, not even the answer to our close frame: the end of our bytes asks for it."""
        if self._writer is None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    # Writing

    def push(self, frame: Frame) -> None:
        """Queue a frame; `flush` writes it. A peer that does not keep up is closed 1013."""
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
            self.sock.shutdown(socket.SHUT_RDWR)

    def await_end(self) -> None:
        """After `close`: read until the peer ends it too, for at most `close_seconds`."""
        with gevent.Timeout(self._limits.close_seconds, False):
            while self.receive() is not None:
                pass

    def finish(self) -> None:
        """Let the last bytes go, for at most `close_seconds`. After this nothing is written."""
        self.flush()
        writer = self._writer
        if writer is not None:
            writer.join(self._limits.close_seconds)
        self.connected = False
        self.abort()
        if writer is not None:
            writer.kill()

    def flush(self) -> None:
        """Write what is queued, without waiting."""
        if self._writer is not None or not self._queue:
            return
        if self._ended and self.closing is None:
            self._queue.clear()
            return
        data = self._gather(self._limits.queue_bytes)
        try:
            written = os.write(self.sock.fileno(), data)
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
                self.sock.sendall(self._rest)
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
        while self._queue and size < limit:
            item = self._queue.popleft()
            wire = item if isinstance(item, bytes) else item.wire
            parts.append(wire)
            size += len(wire)
        self.waiting_bytes -= size
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
        kept = frames.merge_deltas([item for item in self._queue if isinstance(item, Frame)])
        controls = [item for item in self._queue if isinstance(item, bytes)]
        self.waiting_bytes = len(self._rest)
        self._queue = deque()
        for control in controls:
            self._append(control)
        for frame in kept:
            self._append(frame)
        if self.waiting_bytes > self._limits.queue_bytes * 3 // 4:
            lost = next((frame for frame in kept if frame.seq), None)
            self._queue.clear()
            self.waiting_bytes = len(self._rest)
            where = f"; last seq {lost.seq - 1}" if lost else ""
            self.close(COME_BACK, f"too slow: subscribe again with since{where}")
