"""All open sockets of a process: their number, their clock, and their end when the process stops."""

import threading
import time
from collections import Counter

import structlog

from pixelbloom.auth.roles import Roles
from pixelbloom.errors import RateLimited, Unavailable
from pixelbloom.web.realtime.connection import Connection
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.role_refresh import RoleRefresher
from pixelbloom.web.realtime.socket import RESTART
from pixelbloom.web.realtime.stats import Stats

log = structlog.get_logger(__name__)

DRAIN_BATCH_SECONDS = 0.1


class Registry:
    """The open sockets."""

    def __init__(self, limits: Limits, stats: Stats, roles: Roles | None = None) -> None:
        self._limits = limits
        self._open: set[Connection] = set()
        self._by_caller: Counter[str] = Counter()
        self._clock: threading.Thread | None = None
        self._roles = RoleRefresher(self._open, roles) if roles else None
        self.stats = stats
        self.draining = False

    def add(self, connection: Connection) -> None:
        """Count it from now on, open or about to open: many that come at once must not all find room.

        Raises RateLimited or Unavailable where there is none. Services are not limited.
        """
        caller, most = connection.principal.caller, self._limits.sockets_per_user
        if caller != "service" and self._by_caller[caller] >= most:
            raise RateLimited(f"You have {most} sockets open, which is the most; close one, or come back later.", 1)
        if len(self._open) >= self._limits.sockets:
            raise Unavailable("All sockets of this server are taken; come back later.", 1)
        self._open.add(connection)
        self._by_caller[connection.principal.caller] += 1
        self.stats.sockets[connection.channel] += 1
        if self._clock is None:
            self._clock = threading.Thread(target=self._tick, name="socket-clock", daemon=True)
            self._clock.start()
        if self._roles is not None:
            self._roles.start()

    def remove(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            caller = connection.principal.caller
            self._by_caller[caller] -= 1
            if self._by_caller[caller] <= 0:
                del self._by_caller[caller]
            self.stats.sockets[connection.channel] -= 1

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
