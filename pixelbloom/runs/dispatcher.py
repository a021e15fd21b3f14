"""Sends admitted steps to the broker, and the updates of their runs to Redis, in the background.

A step is durable once committed; its message is only transport. A message that cannot be sent is retried while the
process lives; if the process dies, the sweep finds the step. Updates that cannot be published are left to the outbox.

`canvas` makes the messages of new runs, recovery, retries and decisions: a linear segment, which workflows/graph.py
decides, is one Celery chain. Forks and joins are decided in Postgres, which returns the steps that became ready.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Celery, Signature, chain

from pixelbloom.core.backoff import Backoff
from pixelbloom.core.queues import AGENTS
from pixelbloom.events.publisher import Publisher
from pixelbloom.runs.status import BROKER_PRIORITY, Priority
from pixelbloom.telemetry import tracing

log = structlog.get_logger(__name__)

STEP_TASK = "pixelbloom.run_step"
#: The header with the time at which a message's step was published.
PUBLISHED_AT = "published_at"
#: The workers' remote control command that stops a run's steps.
STOP_COMMAND = "stop_run"
#: Messages buffered while the broker is unreachable; the sweep publishes the rest.
MAX_PENDING = 20_000
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0


def canvas(app: Celery, publication: Mapping[str, Any]) -> Signature:
    """Return the messages of a published step and of the linear segment after it, as the database returned them."""
    priority = Priority.of(publication["priority"])
    first = _message(app, publication["run_id"], publication["key"], priority)
    # The preceding task sets the successors' header when it sends them.
    first.set(headers={PUBLISHED_AT: publication["published_at"]})
    rest = [_message(app, publication["run_id"], key, priority) for key in publication["chain"]]
    return chain(first, *rest, app=app) if rest else first


def _message(app: Celery, run_id: str, key: str, priority: Priority) -> Signature:
    return app.signature(
        STEP_TASK,
        args=(run_id, key),
        immutable=True,
        queue=AGENTS,
        priority=BROKER_PRIORITY[priority],
        argsrepr=f"(run {run_id}, step {key})",
        ignore_result=True,
    )


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


class Dispatcher:
    """The background senders of the process: one thread publishes updates, another one sends to the broker.

    While one of the two servers is unreachable, the other one gets what is for it. `publish_updates` publishes updates
    of runs and does not raise.
    """

    def __init__(self, app: Celery, publish_updates: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._app = app
        self._publish_updates = publish_updates
        self._updates: list[dict[str, Any]] = []
        self._queued = self._published = 0
        #: Each step with the number of updates that are published before it.
        self._steps: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._stops: list[str] = []
        self._tasks: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=MAX_PENDING)
        self._wake = threading.Condition()
        self._sending = self._started = False

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
            accepted = updates[: max(MAX_PENDING - len(self._updates), 0)]
            self._updates.extend(accepted)
            self._queued += len(accepted)
            room = max(MAX_PENDING - len(self._steps), 0)
            self._steps.extend((self._queued, step) for step in steps[:room])
            if len(steps) > room:
                log.warning("dispatch_overflow", left_to_sweep=len(steps) - room)
            self._wake_senders()

    def send(self, task: str, *args: Any) -> None:
        """Queue another task by its name and return at once. If the process dies, beat finds the lost task."""
        with self._wake:
            self._tasks.append((task, args))
            self._wake_senders()

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent, for at most `timeout` seconds. Return whether it was."""
        with self._wake:
            return self._wake.wait_for(self._all_sent, timeout)

    def _all_sent(self) -> bool:
        waiting = self._steps or self._stops or self._tasks
        return not (waiting or self._sending) and self._published == self._queued

    def _wake_senders(self) -> None:
        if not self._started:
            self._started = True
            for name, run in (("updates", self._publish_all), ("dispatcher", self._send_all)):
                threading.Thread(target=run, name=name, daemon=True).start()
        self._wake.notify_all()

    def _publish_all(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._updates)
                updates, self._updates = self._updates, []
            self._publish_updates(updates)
            with self._wake:
                self._published += len(updates)
                self._wake.notify_all()

    def _send_all(self) -> None:
        backoff = Backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
        while True:
            with self._wake:
                self._sending = False
                self._wake.notify_all()
                self._wake.wait_for(self._has_work)
                self._sending = True
                stops, self._stops = self._stops, []
                steps = [step for after, step in self._steps if after <= self._published]
            try:
                self._send(stops, steps)
                backoff.reset()
            except Exception as error:
                log.warning("dispatch_failed", reason=type(error).__name__, pending=len(self._steps))
                threading.Event().wait(backoff.next())

    def _has_work(self) -> bool:
        first_is_ready = bool(self._steps) and self._steps[0][0] <= self._published
        return bool(self._stops or self._tasks) or first_is_ready

    def _send(self, stops: Sequence[str], steps: Sequence[Mapping[str, Any]]) -> None:
        for run_id in stops:
            self._app.control.broadcast(STOP_COMMAND, arguments={"run_id": run_id})
        for step in steps:
            with tracing.within(step.get("traceparent")):
                canvas(self._app, step).apply_async(retry=False)
            self._steps.popleft()
        while self._tasks:
            name, args = self._tasks[0]
            self._app.send_task(name, args=args, retry=False, ignore_result=True)
            self._tasks.popleft()
