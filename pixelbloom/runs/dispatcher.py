"""Sends admitted steps to the broker, and the updates of their runs to Redis, in a background thread.

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

from pixelbloom.agents.base import Agent
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


def agent_step(agent: Agent[Any, Any], input: Mapping[str, Any], model_timeout: float) -> dict[str, Any]:
    """Return the row of an agent run's single step."""
    return {
        "key": agent.agent_type,
        "agent_type": agent.agent_type,
        "writes": agent.writes,
        "input": input,
        "timeout_seconds": agent.deadline(model_timeout),
    }


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
                    # They do not need the broker, which may be away.
                    if updates:
                        self._publish_updates(updates)
                    for run_id in stops:
                        self._app.control.broadcast(STOP_COMMAND, arguments={"run_id": run_id})
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
