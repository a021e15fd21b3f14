"""All open sockets and event streams of a process: counting, timeouts, and draining when the process stops."""

import threading
import time
from collections import Counter
from typing import Protocol

import structlog

from pixelbloom.auth.roles import Roles
from pixelbloom.errors import RateLimited, Unavailable
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.role_refresh import Follower, RoleRefresher
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.websocket import RESTART

log = structlog.get_logger(__name__)

DRAIN_BATCH_SECONDS = 0.1


class Open(Follower, Protocol):
    """A socket or an event stream."""

    @property
    def quotas(self) -> dict[str, int]:
        """The counters it belongs to, with the maximum of each."""

    @property
    def closing(self) -> bool:
        """Whether it is closing."""

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait to be read by the client."""

    def count(self, stats: Stats, number: int) -> None:
        """Add to the number of open ones."""

    def tick(self, now: float) -> None:
        """Check the timeouts. `now` is in monotonic seconds."""

    def close(self, code: int, reason: str) -> None:
        """Close it."""


class Registry:
    """The open sockets and event streams."""

    def __init__(self, limits: Limits, stats: Stats, roles: Roles | None = None) -> None:
        self._limits = limits
        self._open: set[Open] = set()
        self._used: Counter[str] = Counter()
        self._clock: threading.Thread | None = None
        self._roles = RoleRefresher(self._open, roles) if roles else None
        self.stats = stats
        self.draining = False

    def add(self, connection: Open) -> None:
        """Count a connection, open or about to open, so that simultaneous ones cannot exceed the limits.

        Raises RateLimited or Unavailable if a limit is reached.
        """
        for name, most in connection.quotas.items():
            if self._used[name] >= most:
                raise RateLimited(
                    f"You have {most} sockets and event streams open, which is the limit; close one, or wait.",
                    1,
                )
        if len(self._open) >= self._limits.sockets:
            raise Unavailable("This server has reached its limit of open sockets; try again later.", 1)
        self._open.add(connection)
        self._used.update(connection.quotas.keys())
        connection.count(self.stats, 1)
        if self._clock is None:
            self._clock = threading.Thread(target=self._tick, name="socket-clock", daemon=True)
            self._clock.start()
        if self._roles is not None:
            self._roles.start()

    def remove(self, connection: Open) -> None:
        """Stop counting a connection. Safe to repeat."""
        if connection in self._open:
            self._open.discard(connection)
            for name in connection.quotas:
                self._used[name] -= 1
                if self._used[name] <= 0:
                    del self._used[name]
            connection.count(self.stats, -1)

    def closed(self, code: int) -> None:
        """Count a socket that closes with this code, or ended without one (1006)."""
        self.stats.closes[code] += 1

    def drain(self, seconds: float) -> None:
        """Close every socket with 1012, in batches over about half of `seconds`; wait until they have ended."""
        self.draining = True
        deadline = time.monotonic() + seconds
        waiting = [connection for connection in self._open if not connection.closing]
        if waiting:
            log.info("sockets_draining", sockets=len(waiting))
        batch = max(50, int(len(waiting) * DRAIN_BATCH_SECONDS / max(seconds / 2, DRAIN_BATCH_SECONDS)) + 1)
        for start in range(0, len(waiting), batch):
            for connection in waiting[start : start + batch]:
                connection.close(RESTART, "restart: reconnect and subscribe with since")
            time.sleep(DRAIN_BATCH_SECONDS)
        while self._open and time.monotonic() < deadline:
            time.sleep(0.05)

    def _tick(self) -> None:
        while self._open:
            time.sleep(self._limits.tick_seconds)
            now = time.monotonic()
            for connection in list(self._open):
                try:
                    connection.tick(now)
                except Exception:
                    log.exception("socket_tick_failed")
            self.stats.queue_bytes = sum(connection.queued_bytes for connection in self._open)
        self._clock = None
