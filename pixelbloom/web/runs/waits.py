"""Requests that wait for the end of a run: `Prefer: wait=N`, limits, and detecting disconnected clients."""

import re
import select
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from threading import Event
from time import monotonic
from typing import Any

from gevent.monkey import get_original

from pixelbloom.auth.principal import Principal
from pixelbloom.web.realtime.stats import Stats

#: The longest `Prefer: wait=N` (RFC 7240).
MAX_WAIT_SECONDS = 60
#: Possessive throughout, so that a header is read in one pass.
_PREFERENCE = re.compile(
    r'\s*+([\w!#$%&\'*+.^`|~-]++)\s*+(?:=\s*+("(?:[^"\\]|\\.)*+"|[^\s;,"]*+))?+\s*+(?:;[^,]*+)?+(?:,|$)'
)
_SECONDS = re.compile(r"[0-9]+")
#: Pause between two checks whether the client of a waiting request is still connected.
CHECK_SECONDS = 0.5
#: Share of gunicorn's connections that waiting requests may use, so that others are always free.
CONNECTION_SHARE = 0.5
#: The peer has closed its half of the connection, or all of it. Unlike reading, this consumes no pipelined bytes.
_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
#: gevent's own `poll` does not know POLLRDHUP; asked with a timeout of 0, the original never blocks.
_poll = get_original("select", "poll")

#: Maximum number of waits by the connections of this process; unlimited before `limit_to_connections` is called.
_bound: float = inf


def wait_seconds(header: str | None) -> int | None:
    """Return the seconds of a Prefer header to wait, at most 60, or None if the header names none.

    As the RFC says, the first `wait` counts, and an invalid one is ignored, never an error.
    """
    position, text = 0, (header or "")[:1000]
    while match := _PREFERENCE.match(text, position):
        if match.end() == position:
            return None
        position = match.end()
        if match[1].lower() == "wait":
            value = (match[2] or "").strip('"')
            seconds = int(value) if _SECONDS.fullmatch(value) else 0
            return min(seconds, MAX_WAIT_SECONDS) or None
    return None


class Waits:
    """The waits in progress of one process, limited per user and in total. Services have only the total limit."""

    def __init__(self, per_user: int, per_process: int, stats: Stats) -> None:
        self._per_user = per_user
        self._per_process = per_process
        self._stats = stats
        self._by_caller: Counter[str] = Counter()

    @contextmanager
    def slot(self, caller: Principal) -> Iterator[bool]:
        """Yield whether the caller may wait; the slot is returned when the context ends."""
        name = caller.caller
        allowed = self._stats.waits < min(self._per_process, _bound) and (
            caller.kind == "service" or self._by_caller[name] < self._per_user
        )
        if not allowed:
            yield False
            return
        self._stats.waits += 1
        self._by_caller[name] += 1
        try:
            yield True
        finally:
            self._stats.waits -= 1
            self._by_caller[name] -= 1
            if not self._by_caller[name]:
                del self._by_caller[name]


def limit_to_connections(connections: int) -> None:
    """Limit waits to their share of the connections that this process accepts."""
    global _bound
    _bound = int(connections * CONNECTION_SHARE)


def wait_while_connected(event: Event, seconds: float, environ: Mapping[str, Any]) -> None:
    """Wait for the event, at most `seconds`, and only as long as the client of the request is connected."""
    connection = environ.get("gunicorn.socket")
    deadline = monotonic() + seconds
    while (left := deadline - monotonic()) > 0:
        if event.wait(min(left, CHECK_SECONDS)) or (connection is not None and disconnected(connection)):
            return


def disconnected(connection: Any) -> bool:
    """Return whether the peer has closed the connection, or its sending half of it."""
    poll = _poll()
    try:
        poll.register(connection.fileno(), _CLOSED)
    except (OSError, ValueError):  # closed on this side
        return True
    return bool(poll.poll(0))
