"""Hands admitted steps to the broker, off everybody's path.

A step's commit is the promise; its message is only the transport. So a message that cannot be sent now is tried again
here for as long as the process lives, and if it dies the sweep finds the step.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from pixelbloom.runs.planner import canvas

log = structlog.get_logger(__name__)

#: The remote control command of workers that stops a run's steps.
STOP_COMMAND = "stop_run"
#: Messages kept while the broker is away; the sweep publishes what does not fit.
MAX_PENDING = 20_000
MAX_BACKOFF_SECONDS = 5.0


class Dispatcher:
    """A background sender of the process.

    `tell` publishes updates of runs; what it cannot publish is left to the outbox.
    """

    def __init__(self, app: Celery, tell: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._app = app
        self._tell = tell
        self._pending: deque[Mapping[str, Any]] = deque()
        self._updates: list[dict[str, Any]] = []
        self._stops: list[str] = []
        self._tasks: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=MAX_PENDING)
        self._wake = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._pid = 0

    def publish(
        self,
        steps: Sequence[Mapping[str, Any]],
        updates: Sequence[dict[str, Any]] = (),
        *,
        stop: UUID | None = None,
    ) -> None:
        """Send these admitted steps, each with the stretch that follows it, soon; returns at once.

        The updates are told first, so that nobody hears of a run's start before its submission. `stop` is a cancelled
        run: workers hear of it at once; where they do not, the renewal of their lease tells them.
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
            self._woken()

    def send(self, task: str, *args: Any) -> None:
        """Send another task by its name, soon; returns at once. What is lost with the process, beat finds."""
        with self._wake:
            self._tasks.append((task, args))
            self._woken()

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent, for at most `timeout` seconds. Returns whether it was."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._busy, timeout)

    def _woken(self) -> None:
        self._busy = True
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _run(self) -> None:
        backoff = 0.1
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
                        self._tell_all(updates)
                    for step in steps:
                        canvas(self._app, step).apply_async(retry=False)
                        self._pending.popleft()
                    while self._tasks:
                        name, args = self._tasks[0]
                        self._app.send_task(name, args=args, retry=False, ignore_result=True)
                        self._tasks.popleft()
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
