"""Hands admitted steps to the broker, off everybody's path.

A step's commit is the promise; its message is only the transport. So a message that cannot be sent now is tried again
here for as long as the process lives, and if it dies the sweep finds the step.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from celery import Celery

log = structlog.get_logger(__name__)

STEP_TASK = "pixelbloom.run_step"
AGENTS_QUEUE = "agents"
#: Messages kept while the broker is away; the sweep publishes what does not fit.
MAX_PENDING = 20_000
MAX_BACKOFF_SECONDS = 5.0


class Dispatcher:
    """A background sender of the process, with one connection of its own.

    `tell` publishes updates of runs; what it cannot publish is left to the outbox.
    """

    def __init__(self, app: Celery, tell: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._app = app
        self._tell = tell
        self._pending: deque[Mapping[str, Any]] = deque()
        self._updates: list[dict[str, Any]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def publish(self, steps: Sequence[Mapping[str, Any]], updates: Sequence[dict[str, Any]] = ()) -> None:
        """Send these admitted steps (`run_id`, `key`, `agent_type`, `published_at`) soon; returns at once.

        The updates are told first, so that nobody hears of a run's start before its submission.
        """
        if not steps and not updates:
            return
        with self._wake:
            self._updates.extend(updates[: max(MAX_PENDING - len(self._updates), 0)])
            room = MAX_PENDING - len(self._pending)
            self._pending.extend(steps[: max(room, 0)])
            if len(steps) > room:
                log.warning("dispatch_overflow", left_to_sweep=len(steps) - max(room, 0))
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _run(self) -> None:
        backoff = 0.1
        while True:
            try:
                with self._app.connection_for_write() as connection:
                    producer = self._app.amqp.Producer(connection)
                    while True:
                        with self._wake:
                            while not self._pending and not self._updates:
                                self._wake.wait()
                            updates, self._updates = self._updates, []
                            steps = list(self._pending)
                        if updates:
                            self._tell_all(updates)
                        for step in steps:
                            self._send(producer, step)
                            self._pending.popleft()
                        backoff = 0.1
            except Exception as error:
                log.warning("dispatch_failed", reason=type(error).__name__, pending=len(self._pending))
                threading.Event().wait(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _tell_all(self, updates: list[dict[str, Any]]) -> None:
        try:
            self._tell(updates)
        except Exception as error:
            log.warning("updates_left_to_outbox", count=len(updates), reason=type(error).__name__)

    def _send(self, producer: Any, step: Mapping[str, Any]) -> None:
        run_id, key = step["run_id"], step["key"]
        self._app.send_task(
            STEP_TASK,
            args=(run_id, key),
            queue=AGENTS_QUEUE,
            producer=producer,
            headers={"published_at": step["published_at"]},
            argsrepr=f"(run {run_id}, step {key})",
            ignore_result=True,
            retry=False,
        )
