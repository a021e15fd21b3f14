"""Writing to one peer: at once what the kernel accepts, and the rest in a greenlet until the peer has caught up."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gevent

from pixelbloom.web.realtime.frames import Frame, merge_deltas
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.stats import Stats

WRITE_BYTES = 64 * 1024


class Writer:
    """The write queue of one connection taken over from gunicorn. It has a greenlet only while the peer is slow."""

    __slots__ = ("_ended", "_limits", "_queue", "_rest", "_sock", "_stats", "_watcher", "_writing", "waiting_bytes")

    def __init__(self, connection: Any, limits: Limits, stats: Stats) -> None:
        """The connection is duplicated: gunicorn closes its own when the request has ended."""
        self._limits = limits
        self._stats = stats
        self._queue: list[Frame | bytes] = []
        #: Bytes queued, or in a write that is not done.
        self.waiting_bytes = 0
        self._rest: bytes | memoryview = b""
        self._writing: Any = None
        self._watcher: Any = None
        self._ended = False
        self._sock = connection.dup()
        if limits.send_buffer_bytes:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)

    # Overridden by each kind of connection

    def _wire(self, frame: Frame) -> bytes:
        """Return the frame in the wire format of this kind of connection."""
        raise NotImplementedError

    def _on_overflow(self, lost: Sequence[Frame]) -> None:
        """Handle a peer that is too slow; these frames were removed from the queue."""
        raise NotImplementedError

    def _drained(self) -> None:
        """Called when everything queued was written."""

    # Queueing

    def _enqueue(self, item: Frame | bytes) -> None:
        """Queue an item; make room if too much waits."""
        self._append(item)
        if self.waiting_bytes > self._limits.queue_bytes and len(self._queue) > 1:
            self._make_room()

    def _append(self, item: Frame | bytes) -> None:
        self._queue.append(item)
        self.waiting_bytes += len(item if isinstance(item, bytes) else self._wire(item))

    def _make_room(self) -> None:
        """Make room: write what the kernel accepts, then merge deltas; a peer that is still behind must reconnect."""
        self.flush()
        if self.waiting_bytes <= self._limits.queue_bytes:
            return
        queued = [item for item in self._queue if isinstance(item, Frame)]
        merged = merge_deltas(queued)
        self._stats.merged += len(queued) - len(merged)
        controls = [item for item in self._queue if isinstance(item, bytes)]
        self.waiting_bytes = len(self._rest)
        self._queue = []
        for control in controls:
            self._append(control)
        for frame in merged:
            self._append(frame)
        if self.waiting_bytes > self._limits.queue_bytes * 3 // 4:
            self._stats.overflowed += len(merged)
            self._queue.clear()
            self.waiting_bytes = len(self._rest)
            self._on_overflow(merged)

    # Writing

    def flush(self) -> None:
        """Write what is queued, without blocking."""
        if self._writing is not None or not self._queue:
            return
        if self._ended and not self._may_write_after_end():
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
            self._writing = gevent.spawn(self._write_rest)
        else:
            self._drained()

    def _may_write_after_end(self) -> bool:
        return False

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
            self._writing = None
        if not self._ended:
            self._drained()

    def _gather(self, limit: int) -> bytes:
        """Remove from the queue the data of one write: at least one frame, about `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        for item in self._queue:
            wire = item if isinstance(item, bytes) else self._wire(item)
            parts.append(wire)
            size += len(wire)
            if size >= limit:
                break
        del self._queue[: len(parts)]
        self.waiting_bytes -= size
        self._stats.frames_sent += len(parts)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # The end

    def abort(self) -> None:
        """End the connection now; wakes blocked readers and writers."""
        self._ended = True
        self._queue.clear()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Write the last bytes, for at most `close_seconds`, then close the connection."""
        self.flush()
        writing = self._writing
        if writing is not None:
            writing.join(self._limits.close_seconds)
        self.abort()
        if writing is not None:
            writing.kill()
        if self._watcher is not None:
            self._watcher.close()
        self._sock.close()
