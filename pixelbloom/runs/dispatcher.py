"""Sends admitted steps to the broker, and the updates of their runs to Redis, in a background thread.

A step is durable once committed; its message is only transport. A message that cannot be sent is retried while the
process lives; if the process dies, the sweep finds the step. Updates that cannot be published are left to the outbox.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from pixelbloom.core.backoff import Backoff
from pixelbloom.events.publisher import Publisher
from pixelbloom.runs.planner import canvas
from pixelbloom.telemetry import tracing


class UpdatePublisher:
    """Publishes updates that the database returned. The outbox publishes those that fail.

    `acknowledge` takes the ids of outbox rows that need not be published any more.
    """

    def __init__(self, publisher: Publisher, acknowledge: Callable[[Sequence[int]], None]) -> None:
        self._publisher = publisher
        self._acknowledge = acknowledge

    def publish(self, updates: Sequence[Mapping[str, Any]]) -> None:
        """Publish these updates in order, in one round trip. Never raises."""
        try:
            self._publisher.publish_payloads(updates)
        except Exception as error:
            log.warning("updates_left_to_outbox", count=len(updates), reason=type(error).__name__)
        else:
            # The update of a repeated claim has no outbox row.
            self._acknowledge([update["outbox_id"] for update in updates if "outbox_id" in update])


log = structlog.get_logger(__name__)

#: The workers' remote control command that stops a run's steps.
STOP_COMMAND = "stop_run"
#: Messages buffered while the broker is unreachable; the sweep publishes the rest.
MAX_PENDING = 20_000
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0


class Dispatcher:
    """The background sender of the process.

    `publish_updates` publishes updates of runs and does not raise.
    """

    def __init__(self, app: Celery, publish_updates: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._app = app
        self._publish_updates = publish_updates
        self._pending: deque[Mapping[str, Any]] = deque()
        self._updates: list[dict[str, Any]] = []
        self._stops: list[str] = []
        self._tasks: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=MAX_PENDING)
        self._wake = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def publish(
        self,
        steps: Sequence[Mapping[str, Any]],
        updates: Sequence[dict[str, Any]] = (),
        *,
        stop: UUID | None = None,
    ) -> None:
        """Queue these admitted steps, each with the linear segment after it, and return at once.

        Updates are published first, so that a run's submission precedes its start. `stop` is a cancelled run; workers
        that miss its message learn of it when they renew their leases.
        """
        if not steps and not updates and stop is None:
            return
        with self._wake:
            if stop is not None and len(self._stops) < MAX_PENDING:
                self._stops.append(str(stop))
            self._updates.extend(updates[: max(MAX_PENDING - len(self._updates), 0)])
            room = MAX_PENDING - len(self._pending)
            self._pending.extend(steps[: max(room, 0)])
            if len(steps) > room:
                log.warning("dispatch_overflow", left_to_sweep=len(steps) - max(room, 0))
            self._wake_sender()

    def send(self, task: str, *args: Any) -> None:
        """Queue another task by its name and return at once. If the process dies, beat finds the lost task."""
        with self._wake:
            self._tasks.append((task, args))
            self._wake_sender()

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent, for at most `timeout` seconds. Return whether it was."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._busy, timeout)

    def _wake_sender(self) -> None:
        self._busy = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _run(self) -> None:
        backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
        while True:
            try:
                while True:
                    with self._wake:
                        while not (self._pending or self._updates or self._stops or self._tasks):
                            self._busy = False
                            self._wake.notify_all()
                            self._wake.wait()
                        updates, self._updates = self._updates, []
                        stops, self._stops = self._stops, []
                        steps = list(self._pending)
                    for run_id in stops:
                        self._app.control.broadcast(STOP_COMMAND, arguments={"run_id": run_id})
                    if updates:
                        self._publish_updates(updates)
                    for step in steps:
                        with tracing.within(step.get("traceparent")):
                            canvas(self._app, step).apply_async(retry=False)
                        self._pending.popleft()
                    while self._tasks:
                        name, args = self._tasks[0]
                        self._app.send_task(name, args=args, retry=False, ignore_result=True)
                        self._tasks.popleft()
                    backoff.reset()
            except Exception as error:
                log.warning("dispatch_failed", reason=type(error).__name__, pending=len(self._pending))
                threading.Event().wait(backoff.next())
