"""The one pub/sub connection of a process."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from pixelbloom.core.backoff import Backoff
from pixelbloom.events.client import pool
from pixelbloom.web.realtime.stats import Stats

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 5.0
#: Silence after which a PING is sent; after the same time again the connection counts as lost.
QUIET_SECONDS = 10.0
BACKOFF_SECONDS = (0.05, 2.0)
#: Messages passed on before the queued frames are written.
BATCH = 256
SUBSCRIBE_AT_ONCE = 500


class RedisLink:
    """Maintains channel subscriptions across reconnects, and reports each confirmation by Redis.

    redis-py's own PubSub does not report reconnects, so this uses a bare connection: only the link's thread connects,
    reads and disconnects. It starts with the first channel. `on_message(channel, data)`, `on_confirmed(channel)` and
    `on_pause()` (after each batch) are called in that thread.
    """

    def __init__(
        self,
        url: str,
        *,
        on_message: Callable[[str, bytes], None],
        on_confirmed: Callable[[str], None],
        on_pause: Callable[[], None],
        stats: Stats,
    ) -> None:
        self._pool = pool(
            url,
            protocol=2,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._on_message, self._on_confirmed, self._on_pause = on_message, on_confirmed, on_pause
        self._stats = stats
        self._lock = threading.RLock()
        self._wanted: dict[str, threading.Event] = {}
        #: SUBSCRIBE commands sent on this connection and not confirmed yet, by channel.
        self._unconfirmed: dict[str, int] = {}
        #: Untyped in redis-py.
        self._connection: Any = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def subscribe(self, channel: str) -> threading.Event:
        """Subscribe to a channel. The returned event is set when Redis has confirmed it."""
        with self._lock:
            confirmed = self._wanted.get(channel)
            if confirmed is None:
                confirmed = self._wanted[channel] = threading.Event()
                self._start()
                self._send("SUBSCRIBE", [channel])
            return confirmed

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe from a channel."""
        with self._lock:
            if self._wanted.pop(channel, None) is not None:
                self._send("UNSUBSCRIBE", [channel])

    def stop(self) -> None:
        """End the thread and the connection."""
        with self._lock:
            self._stopped = True
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="redis-link", daemon=True)
            self._thread.start()

    def _send(self, command: str, channels: Iterable[str]) -> None:
        """Send on the current connection. If that fails, the reader notices and reconnects."""
        connection = self._connection
        names = list(channels)
        if connection is None or not names:
            return
        if command == "SUBSCRIBE":
            for name in names:
                self._unconfirmed[name] = self._unconfirmed.get(name, 0) + 1
        try:
            connection.send_command(command, *names, check_health=False)
        except redis.RedisError:
            self._connection = None

    def _run(self) -> None:
        backoff = Backoff(*BACKOFF_SECONDS)
        while not self._stopped:
            try:
                connection = self._connect()
            except (redis.RedisError, OSError) as error:
                self._stats.link_up = False
                log.warning("redis_link_down", reason=type(error).__name__)
            else:
                self._stats.link_up = True
                self._stats.link_connects += 1
                backoff.reset()
                try:
                    self._read(connection)
                except (redis.RedisError, OSError) as error:
                    if not self._stopped:
                        log.warning("redis_link_lost", reason=type(error).__name__)
                except Exception:
                    log.exception("redis_link_failed")
                self._stats.link_up = False
                self._disconnect(connection)
            if not self._stopped:
                time.sleep(backoff.next())

    def _connect(self) -> Any:
        connection: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        connection.connect()
        with self._lock:
            self._connection = connection
            self._unconfirmed.clear()
            names = list(self._wanted)
            for start in range(0, len(names), SUBSCRIBE_AT_ONCE):
                self._send("SUBSCRIBE", names[start : start + SUBSCRIBE_AT_ONCE])
        return connection

    def _disconnect(self, connection: Any) -> None:
        with self._lock:
            self._connection = None
            for confirmed in self._wanted.values():
                confirmed.clear()
        connection.disconnect()

    def _read(self, connection: Any) -> None:
        pinged = False
        while not self._stopped:
            try:
                self._take(connection.read_response(timeout=QUIET_SECONDS, disconnect_on_error=False))
                pinged = False
            except redis.TimeoutError:
                if pinged:
                    raise
                pinged = True
                with self._lock:
                    self._send("PING", [""])
                continue
            try:
                for _ in range(BATCH):
                    self._take(connection.read_response(timeout=0, disconnect_on_error=False))
            except redis.TimeoutError:
                pass
            finally:
                self._on_pause()

    def _take(self, response: object) -> None:
        if not isinstance(response, list) or len(response) != 3:
            return
        kind, channel = response[0], response[1].decode()
        if kind == b"message":
            self._on_message(channel, response[2])
        elif kind == b"subscribe":
            self._confirm(channel)

    def _confirm(self, channel: str) -> None:
        with self._lock:
            left = self._unconfirmed.pop(channel, 1) - 1
            if left > 0:
                self._unconfirmed[channel] = left
                return
            confirmed = self._wanted.get(channel)
            if confirmed is None:
                return
        self._on_confirmed(channel)
        confirmed.set()
