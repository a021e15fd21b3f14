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
from pixelbloom.web.realtime.protocol import MAX_SEQ, error
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
#: What a client may send after its request, to be thrown away.
IGNORED_BYTES = 64 * 1024
#: How long the peer's system may leave what was sent unacknowledged: then nobody is there.
UNACKNOWLEDGED_MS = 45_000
_READ = 1
_ID = re.compile(r"([0-9A-Za-z_-]{1,64}):([0-9]{1,16})")


def position(last_event_id: str | None) -> tuple[str | None, int | None]:
    """The epoch and seq that a client has seen last; None twice where it begins. Raises InvalidInput."""
    if not last_event_id:
        return None, None
    found = _ID.fullmatch(last_event_id)
    if found is None or int(found[2]) > MAX_SEQ:
        message = "must be the id of an event of this stream; leave it out to begin with the present state"
        raise InvalidInput(f"The header {LAST_EVENT_ID} {message}.", [FieldError(LAST_EVENT_ID, message)])
    return found[1], int(found[2])


def encode(frame: Frame) -> bytes:
    """A topic's frame as an event whose id resumes after it."""
    head = f"id: {frame.epoch}:{frame.seq}\nevent: event\ndata: "
    return head.encode() + frame.body + b"\n\n"


def ends_run(frame: Frame) -> bool:
    """Whether the run has ended with this frame."""
    if frame.kind == "snapshot":
        return orjson.loads(frame.body)["data"]["status"] in TERMINAL
    return frame.kind in TERMINAL


class EventStream(Writer):
    """One client that follows one run. Like a socket it has a greenlet only while the client is slow.

    What is queued after the run's last state is not written: the stream ends with it, unless the run goes on meanwhile.
    """

    __slots__ = (
        "_close_by", "_commented_at", "_ignored", "_last", "_left", "_on_end", "closing", "hub", "places", "principal",
        "subscription",
    )  # fmt: skip

    def __init__(
        self,
        connection: Any,
        hub: Hub,
        principal: Principal,
        *,
        places: dict[str, int],
        limits: Limits,
        on_end: Callable[["EventStream"], None],
    ) -> None:
        super().__init__(connection, limits, hub.stats)
        self.hub = hub
        self.principal = principal
        self.places = places
        #: Nothing more is queued; what was queued is still written.
        self.closing = False
        self._close_by = 0.0
        self._commented_at = time.monotonic()
        self._ignored = 0
        self._last = False
        self._left = False
        self._on_end = on_end
        self.subscription: Subscription | None = None

    # Life

    def open(self, head: bytes, fetched: Fetched, since: int | None) -> None:
        """Write the response's head and what the client has not seen, and go on. Returns at once."""
        assert self.subscription is not None
        with suppress(OSError, AttributeError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        # A pause of its own for each client, so that not all come back at the same moment.
        self._append(head + f"retry: {random.randint(1_000, 3_000)}\n\n".encode())  # noqa: S311
        with self.hub.turn():
            self.subscription.begin(fetched, since)
        self.flush()
        self._watcher = gevent.get_hub().loop.io(self._sock.fileno(), _READ)
        self._watcher.start(self._readable)
        if self.closing and not self.waiting_bytes:
            self._drained()

    def discard(self) -> None:
        """Give up a stream that was not opened; the connection stays the request's."""
        if self._watcher is None and not self._left:
            self._leave()
            self._sock.close()

    def tick(self, now: float) -> None:
        """Look at the clock: the token's end, the next comment, a client that does not read the end."""
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

    def close(self, code: int = 0, reason: str = "") -> None:  # noqa: ARG002  (those of a socket)
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
        """What waits for the client to read it."""
        return self.waiting_bytes

    def count(self, stats: Stats, number: int) -> None:
        """Add to the number of open streams."""
        stats.streams += number

    def set_profile_role(self, admin: bool) -> None:
        """Take the role that `user_profiles` has now; the run's owner is checked before anything more is delivered."""
        with self.hub.turn():
            changed = with_role(self.principal, admin)
            if changed is not None:
                self.principal = changed
                if self.subscription is not None:
                    self.hub.repair(self.subscription)

    # From the hub, with its lock

    def push(self, frame: Frame) -> None:
        """Queue an event of the run; the hub writes it at the end of its turn."""
        # What has no epoch is "subscribed", which the ids of events make unnecessary.
        if self._left or self.closing or not frame.epoch:
            return
        self._last = ends_run(frame)
        self._enqueue(frame)
        self.hub.touch(self)

    def drop(self, subscription: Subscription) -> None:  # noqa: ARG002
        """The run is gone, or is the caller's no more."""
        self._refuse("NOT_FOUND", NO_SUCH_RUN)

    # Writing and reading

    def _refuse(self, code: str, message: str) -> None:
        if not self.closing:
            self._append(b"event: error\ndata: " + orjson.dumps(error(code, message)) + b"\n\n")
            self.close()

    def _wire(self, frame: Frame) -> bytes:
        if frame.event is None:
            frame.event = encode(frame)
        return frame.event

    def _fall_behind(self, lost: Sequence[Frame]) -> None:  # noqa: ARG002
        """End the connection: the client comes back with the id of the last event that it has read whole."""
        self.abort()

    def _drained(self) -> None:
        if self._last and not self.closing:
            self.closing = True
            self._close_by = time.monotonic() + self._limits.close_seconds
        if self.closing:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _readable(self) -> None:
        """The loop found something to read: the client's end, or what it sends for nothing."""
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
        if not self._left:
            self._ended = True
            self._leave()
            self.finish()

    def _leave(self) -> None:
        """Follow nothing any more, and free the place."""
        self._left = True
        self._on_end(self)
        with self.hub.turn():
            if self.subscription is not None:
                self.subscription.leave()


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
