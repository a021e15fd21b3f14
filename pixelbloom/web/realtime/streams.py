"""A run's events as server-sent events, for clients that do not speak WebSocket."""

import os
import random
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import gevent
import orjson
from flask import Response

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.events.types import TERMINAL
from pixelbloom.runs.model import NO_SUCH_RUN
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.protocol import MAX_SEQ, error_frame
from pixelbloom.web.realtime.role_refresh import with_role
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.subscriptions import Fetched, Subscription
from pixelbloom.web.realtime.writer import Writer

MIMETYPE = "text/event-stream"
LAST_EVENT_ID = "Last-Event-ID"
COMMENT = b":\n\n"
#: Without a length, the response ends with its connection. nginx passes it on at once.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
RECEIVE_BYTES = 16 * 1024
#: What a client may send after its request; it is discarded.
IGNORED_BYTES = 64 * 1024
#: How long sent data may be unacknowledged before the peer counts as gone.
UNACKNOWLEDGED_MS = 45_000
_READ = 1
_ID = re.compile(r"([0-9A-Za-z_-]{1,64}):([0-9]{1,16})")


def position(last_event_id: str | None) -> tuple[str | None, int | None]:
    """Parse the epoch and seq of the client's last event; None, None for a new client. Raises InvalidInput."""
    if not last_event_id:
        return None, None
    found = _ID.fullmatch(last_event_id)
    if found is None or int(found[2]) > MAX_SEQ:
        message = "must be the id of an event of this stream; omit it to begin with the current state"
        raise InvalidInput(f"The header {LAST_EVENT_ID} {message}.", [FieldError(LAST_EVENT_ID, message)])
    return found[1], int(found[2])


def encode(frame: Frame) -> bytes:
    """Encode a topic's frame as a server-sent event. Its id resumes after it."""
    head = f"id: {frame.epoch}:{frame.seq}\nevent: event\ndata: "
    return head.encode() + frame.body + b"\n\n"


def ends_run(frame: Frame) -> bool:
    """Return whether the run has ended with this frame."""
    if frame.kind == "snapshot":
        return orjson.loads(frame.body)["data"]["status"] in TERMINAL
    return frame.kind in TERMINAL


class EventStream(Writer):
    """One client that follows one run. Like a socket it has a greenlet only while the client is slow.

    Frames after the run's last state are not written: the stream ends with it, unless the run was retried meanwhile.
    """

    __slots__ = (
        "_close_by", "_commented_at", "_ignored", "_last", "_on_end", "_released", "closing", "hub", "principal",
        "quotas", "subscription",
    )  # fmt: skip

    def __init__(
        self,
        connection: Any,
        hub: Hub,
        principal: Principal,
        *,
        quotas: dict[str, int],
        limits: Limits,
        on_end: Callable[["EventStream"], None],
    ) -> None:
        super().__init__(connection, limits, hub.stats)
        self.hub = hub
        self.principal = principal
        self.quotas = quotas
        #: Nothing more is queued; queued data is still written.
        self.closing = False
        self._close_by = 0.0
        self._commented_at = time.monotonic()
        self._ignored = 0
        self._last = False
        self._released = False
        self._on_end = on_end
        self.subscription: Subscription | None = None

    # Life

    def open(self, head: bytes, fetched: Fetched, since: int | None) -> None:
        """Write the response's head and what the client has not seen, and start. Returns at once."""
        assert self.subscription is not None
        with suppress(OSError, AttributeError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        # A random delay for each client, so that not all reconnect at the same moment.
        self._append(head + f"retry: {random.randint(1_000, 3_000)}\n\n".encode())  # noqa: S311
        with self.hub.batch():
            self.subscription.begin(fetched, since)
        self.flush()
        self._watcher = gevent.get_hub().loop.io(self._sock.fileno(), _READ)
        self._watcher.start(self._readable)
        if self.closing and not self.waiting_bytes:
            self._drained()

    def discard(self) -> None:
        """Discard a stream that was not opened; the connection remains with the request."""
        if self._watcher is None and not self._released:
            self._release()
            self._sock.close()

    def tick(self, now: float) -> None:
        """Check the timeouts: token expiry, the next comment, a client that does not read the end."""
        if self._watcher is None:
            return
        if self.closing:
            if now > self._close_by:
                self.abort()
        elif time.time() >= self.principal.expires_at.timestamp():
            self._refuse("UNAUTHORIZED", "The token has expired; connect again with a fresh one.")
        elif now - self._commented_at >= self._limits.comment_seconds:
            self._commented_at = now
            if not self.waiting_bytes:
                self._append(COMMENT)
                self.flush()

    def close(self, code: int = 0, reason: str = "") -> None:  # noqa: ARG002  (as of a socket)
        """End the response after what is queued."""
        if not self.closing:
            self.closing = True
            self._close_by = time.monotonic() + self._limits.close_seconds
            if self._watcher is not None:
                self.flush()
                if not self.waiting_bytes:
                    self._drained()

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait to be read by the client."""
        return self.waiting_bytes

    def count(self, stats: Stats, number: int) -> None:
        """Add to the number of open streams."""
        stats.streams += number

    def set_profile_role(self, admin: bool) -> None:
        """Apply the role that `user_profiles` has now. The run's owner is checked before the next delivery."""
        with self.hub.batch():
            changed = with_role(self.principal, admin)
            if changed is not None:
                self.principal = changed
                if self.subscription is not None:
                    self.hub.repair(self.subscription)

    # From the hub, with its lock

    def push(self, frame: Frame) -> None:
        """Queue an event of the run. The hub writes it at the end of the batch."""
        # A frame without epoch is "subscribed", which the ids of events make unnecessary.
        if self._released or self.closing or not frame.epoch:
            return
        self._last = ends_run(frame)
        self._enqueue(frame)
        self.hub.touch(self)

    def drop(self, subscription: Subscription) -> None:  # noqa: ARG002
        """End the stream: the run is gone or no longer visible."""
        self._refuse("NOT_FOUND", NO_SUCH_RUN)

    # Writing and reading

    def _refuse(self, code: str, message: str) -> None:
        if not self.closing:
            self._append(b"event: error\ndata: " + orjson.dumps(error_frame(code, message)) + b"\n\n")
            self.close()

    def _wire(self, frame: Frame) -> bytes:
        if frame.event is None:
            frame.event = encode(frame)
        return frame.event

    def _on_overflow(self, lost: Sequence[Frame]) -> None:  # noqa: ARG002
        """End the connection: the client reconnects with the id of the last complete event."""
        self.abort()

    def _drained(self) -> None:
        if self._last and not self.closing:
            self.closing = True
            self._close_by = time.monotonic() + self._limits.close_seconds
        if self.closing:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _readable(self) -> None:
        """Read and discard data of the client, or notice its end."""
        try:
            data = os.read(self._sock.fileno(), RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._ignored += len(data)
        if not data or self._ignored > IGNORED_BYTES:
            self._watcher.stop()
            gevent.spawn(self._end)

    def _end(self) -> None:
        if not self._released:
            self._ended = True
            self._release()
            self.finish()

    def _release(self) -> None:
        """End the subscription and the registration."""
        self._released = True
        self._on_end(self)
        with self.hub.batch():
            if self.subscription is not None:
                self.subscription.end()


class StreamResponse(Response):
    """The head of an event stream. The stream outlives the request; gunicorn closes its own copy of the connection."""

    automatically_set_content_length = False

    def __init__(self, begin: Callable[[bytes], None]) -> None:
        super().__init__(mimetype=MIMETYPE, headers=HEADERS)
        self._begin = begin

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:  # noqa: ARG002
        lines = [f"{name}: {value}" for name, value in self.get_wsgi_headers(environ)]
        self._begin("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1"))
        raise StopIteration
