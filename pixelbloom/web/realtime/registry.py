"""All open sockets and event streams of a process: their number, their clock, and their end when the process stops."""

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
    def places(self) -> dict[str, int]:
        """The names under which it is counted, and how many of each there may be."""

    @property
    def closing(self) -> bool:
        """Whether its end has begun."""

    @property
    def queued_bytes(self) -> int:
        """What waits for the client to read it."""

    def count(self, stats: Stats, number: int) -> None:
        """Add to the number of those that are open."""

    def tick(self, now: float) -> None:
        """Look at the clock."""

    def close(self, code: int, reason: str) -> None:
        """End it from our side."""


class Registry:
    """The open sockets and event streams."""

    def __init__(self, limits: Limits, stats: Stats, roles: Roles | None = None) -> None:
        self._limits = limits
        self._open: set[Open] = set()
        self._held: Counter[str] = Counter()
        self._clock: threading.Thread | None = None
        self._roles = RoleRefresher(self._open, roles) if roles else None
        self.stats = stats
        self.draining = False

    def add(self, connection: Open) -> None:
        """Count it from now on, open or about to open: many that come at once must not all find room.

        Raises RateLimited or Unavailable where there is none.
        """
        for name, most in connection.places.items():
            if self._held[name] >= most:
                raise RateLimited(
                    f"You have {most} sockets and event streams open, which is the most; close one, or wait.",
                    1,
                )
        if len(self._open) >= self._limits.sockets:
            raise Unavailable("All sockets of this server are taken; come back later.", 1)
        self._open.add(connection)
        self._held.update(connection.places.keys())
        connection.count(self.stats, 1)
        if self._clock is None:
            self._clock = threading.Thread(target=self._tick, name="socket-clock", daemon=True)
            self._clock.start()
        if self._roles is not None:
            self._roles.start()

    def remove(self, connection: Open) -> None:
        """Free its place. Does nothing where that was done."""
        if connection in self._open:
            self._open.discard(connection)
            for name in connection.places:
                self._held[name] -= 1
                if self._held[name] <= 0:
                    del self._held[name]
            connection.count(self.stats, -1)

    def closed(self, code: int) -> None:
        """A socket is closing with that code, or ended without one (1006)."""
        self.stats.closes[code] += 1

    def drain(self, seconds: float) -> None:
        """Close every socket with 1012, in batches that take about half of the time; wait for their ends."""
        self.draining = True
        deadline = time.monotonic() + seconds
        waiting = [connection for connection in self._open if not connection.closing]
        if waiting:
            log.info("sockets_draining", sockets=len(waiting))
        batch = max(50, int(len(waiting) * DRAIN_BATCH_SECONDS / max(seconds / 2, DRAIN_BATCH_SECONDS)) + 1)
        for start in range(0, len(waiting), batch):
            for connection in waiting[start : start + batch]:
                connection.close(RESTART, "restart: connect again and subscribe with since")
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
