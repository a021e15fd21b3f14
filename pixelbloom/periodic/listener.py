"""Listens to Postgres for work that becomes due."""

import select
import threading
from collections.abc import Callable
from uuid import uuid4

import psycopg
import structlog

from pixelbloom.core.backoff import Backoff

log = structlog.get_logger(__name__)

CHANNEL = "pixelbloom_beat"
CONNECT_SECONDS = 5
#: A pooler that loses notifications is logged after this many tests.
LOST_TESTS = 5
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 30.0


class Listener:
    """A connection in a thread of its own. `wake` is called for each notification, and when the connection is lost.

    A connection counts only once a notification that went through another one arrived: a pooler may lose them.
    """

    def __init__(self, database_url: str, wake: Callable[[], None]) -> None:
        self._url = database_url
        self._wake = wake
        self._id = uuid4().hex
        self._connected = self._failed = False
        self._sent = self._lost = 0
        self._received = 0

    def start(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        threading.Thread(target=self._run, name="beat-listener", daemon=True).start()

    def next_test(self) -> str:
        """Return the payload of the next test, which somebody else must send."""
        return f"{self._id}:{self._sent + 1}"

    def sent(self) -> None:
        """Note that the next test was sent."""
        self._sent += 1
        self._lost += self._connected
        if self._lost == LOST_TESTS:
            log.warning("beat_listener_gets_nothing", advice="Let DATABASE_URL name no transaction pooler.")

    @property
    def listening(self) -> bool:
        """Whether it is connected and the last test arrived."""
        return self._connected and 0 < self._sent == self._received

    def _run(self) -> None:
        backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
        while True:
            try:
                with psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    # A connection that broke without a sign is noticed by the next look's test, and ends by these.
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                ) as connection:
                    connection.execute(f"listen {CHANNEL}")
                    self._connected, self._failed, self._lost = True, False, 0
                    backoff.reset()
                    self._wake()  # for what was written before
                    self._read(connection)
            except (psycopg.Error, OSError) as error:
                if not self._failed:
                    log.warning("beat_listener_lost", reason=type(error).__name__)
                self._failed = True
            if self._connected:
                self._connected = False
                self._wake()
            threading.Event().wait(backoff.next())

    def _read(self, connection: psycopg.Connection) -> None:
        while True:
            # psycopg's own wait would wake up ten times a second.
            select.select([connection], [], [])
            for notice in connection.notifies(timeout=0):
                name, _, number = notice.payload.partition(":")
                if name == self._id:
                    self._received, self._lost = int(number), 0
                elif not notice.payload:
                    self._wake()
