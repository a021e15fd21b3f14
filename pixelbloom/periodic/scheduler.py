"""Beat's scheduler: it asks the database what is due, sends only that, and waits until something else is.

It stores nothing, so a restart loses nothing. Two of them at once send some tasks twice, which is harmless.
"""

import queue
import time
from typing import Any

import structlog
from celery import Celery
from celery.beat import Scheduler

from pixelbloom import health
from pixelbloom.core.backoff import Backoff
from pixelbloom.database.gateway import Gateway
from pixelbloom.events.publisher import publisher_redis
from pixelbloom.periodic.duties import DUTIES, EXPIRES_SECONDS, PULSE_SECONDS
from pixelbloom.periodic.jobs import JOBS
from pixelbloom.periodic.listener import Listener
from pixelbloom.periodic.pulses import Pulses
from pixelbloom.periodic.store import PeriodicTaskStore
from pixelbloom.periodic.verdict import BEAT, FED
from pixelbloom.startup import BACKEND, required_settings

log = structlog.get_logger(__name__)

#: Between two looks, at least, and while work is due.
SHORTEST_SECONDS = 1.0
#: Between two looks, at most, while nobody would wake it.
DEAF_SECONDS = 2.0
#: Without work the looks get rare: the first ones see what was committed during the look before.
IDLE_SECONDS = (2.0, 8.0, 32.0, 60.0)
#: Two times that differ by less are the same: the one of a look was rounded.
SAME_SECONDS = 0.5
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 10.0
#: A queue with so many messages has no worker, or a busy one: nothing is added, so that it does not grow without end.
MAX_WAITING = 200


class DueScheduler(Scheduler):  # type: ignore[misc]
    """Replaces Celery's schedule of intervals. One call to the database finds what all of beat's tasks would."""

    def __init__(self, app: Celery, *args: Any, lazy: bool = False, **options: Any) -> None:
        super().__init__(app, *args, lazy=lazy, **options)
        # A queue, unlike an event, may be used by a signal handler that interrupts its own waiting.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._listener: Listener | None = None
        self._looked_at = float("-inf")
        self._look_at = self._pulse_at = time.monotonic()
        self._known: float | None = None
        self._idle = 0
        self._sent_at: dict[str, float] = {}
        self._full: set[str] = set()
        self._looks_succeed = self._failed = False
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
        if not lazy:
            settings = required_settings(*BACKEND)
            self._store = PeriodicTaskStore(Gateway(settings))
            self._pulses = Pulses(publisher_redis(settings))
            if settings.database_url is not None:
                self._listener = Listener(settings.database_url.get_secret_value(), lambda: self._wakes.put(None))
                self._listener.start()
            log.info("beat_started", listens=self._listener is not None)

    def setup_schedule(self) -> None:
        """There are no entries: the database has the due times."""

    def tick(self, *_args: Any, **_options: Any) -> float:
        """Do what is to be done by now, then wait until there is something else. Return 0: there is no more to wait."""
        health.alive("beat")
        now = time.monotonic()
        try:
            if now >= self._pulse_at:
                self._pulse()
            if now >= self._look_at:
                self._look()
                self._succeeded()
        except Exception as error:
            self._retry(error)
        self._wait(min(self._look_at, self._pulse_at) - time.monotonic())
        return 0.0

    def _look(self) -> None:
        """Send what is due, and set the time of the next look."""
        listener = self._listener
        listening = listener is not None and listener.listening
        self._looked_at = time.monotonic()
        due = self._store.look(
            tuple(JOBS), listener=listener.next_test() if listener is not None else None, listening=listening
        )
        if listener is not None:
            listener.sent()
        for name, seconds in due.items():
            if seconds <= 0:
                self._send_due(name)
        # From now: a look a moment before the due time would find nothing.
        self._look_at = time.monotonic() + self._pause(min(due.values(), default=None), listening=listening)

    def _pause(self, first: float | None, *, listening: bool) -> float:
        """Return the seconds until the next look; `first` is in how many seconds the first task is due."""
        known = None if first is None or first > IDLE_SECONDS[-1] else self._looked_at + first
        before, self._known = self._known, known
        # Writers that relied on a look at that time may commit after this one.
        if before is not None and (known is None or known > before + SAME_SECONDS):
            self._idle = 0
        if first == 0:
            return SHORTEST_SECONDS
        longest = IDLE_SECONDS[self._idle] if listening else DEAF_SECONDS
        self._idle = min(self._idle + 1, len(IDLE_SECONDS) - 1)
        return max(min(longest, longest if first is None else first), SHORTEST_SECONDS)

    def _send_due(self, name: str) -> None:
        now = time.monotonic()
        if self.app.conf.task_routes[f"pixelbloom.{name}"]["queue"] in self._full:
            return
        # A little less than its interval: the looks are not punctual.
        if now - self._sent_at.get(name, float("-inf")) < DUTIES[name] - SHORTEST_SECONDS / 2:
            return
        self.app.send_task(f"pixelbloom.{name}", expires=EXPIRES_SECONDS, retry=False, ignore_result=True)
        self._sent_at[name] = now

    def _pulse(self) -> None:
        """Give a pulse if the last look succeeded, and have each worker that gets tasks from beat give one."""
        if self._looks_succeed:
            self._pulses.record(BEAT)
        full = {name for name in FED if self._waiting(name) >= MAX_WAITING}
        for name in sorted(full - self._full):
            log.warning("queue_not_consumed", queue=name, messages=MAX_WAITING)
        self._full = full
        for name in FED:
            if name not in full:
                self.app.send_task(
                    "pixelbloom.pulse", args=(name,), queue=name, expires=PULSE_SECONDS, retry=False, ignore_result=True
                )
        self._pulse_at = time.monotonic() + PULSE_SECONDS

    def _waiting(self, name: str) -> int:
        """Return the number of messages in a queue."""
        retries = self.app.conf.broker_transport_options.get("max_retries", 0)
        with self.app.connection_or_acquire() as connection:
            connection.ensure_connection(max_retries=retries)  # `channel` does not open a lost one again
            with connection.channel() as channel:
                try:
                    return int(channel.queue_declare(queue=name, passive=True).message_count)
                except connection.channel_errors:  # there is no such queue yet
                    return 0

    def _succeeded(self) -> None:
        if not self._looks_succeed:
            self._pulses.record(BEAT)
            self._looks_succeed = True
        if self._failed:
            log.warning("beat_recovered")
        self._failed = False
        self._backoff.reset()

    def _retry(self, error: Exception) -> None:
        """Try again after a while. An outage is logged once."""
        if not self._failed:
            log.warning("beat_failed", reason=f"{type(error).__name__}: {' '.join(str(error).split())}")
        self._failed, self._looks_succeed = True, False
        now, pause = time.monotonic(), self._backoff.next()
        self._look_at = now + pause
        if self._pulse_at <= now:
            self._pulse_at = now + pause

    def _wait(self, seconds: float) -> None:
        """Wait, but look soon if a writer wakes it."""
        try:
            self._wakes.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return
        while not self._wakes.empty():
            self._wakes.get_nowait()
        self._idle = 0
        self._look_at = min(self._look_at, self._looked_at + SHORTEST_SECONDS)
