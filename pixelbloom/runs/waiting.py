"""Waits for a run's end without polling and without occupying a pool thread.

A waiter subscribes to the run's topic before the run is inserted, so that no end is missed. Events may be lost (Redis
restarts), so one periodic read of Postgres serves all waiters of the process.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from uuid import UUID, uuid4

import structlog

from pixelbloom.errors import PixelBloomError
from pixelbloom.runs.model import Run
from pixelbloom.runs.service import Accepted
from pixelbloom.runs.status import RunStatus

log = structlog.get_logger(__name__)

SAFETY_READ_SECONDS = 3.0

#: Calls back with the data of each state event of a topic while the context is open.
Listen = Callable[[str, Callable[[Mapping[str, Any]], None]], AbstractContextManager[None]]


class EndWaiter:
    """The waiters for runs in this process."""

    def __init__(self, listen: Listen, ended: Callable[[list[UUID]], set[UUID]]) -> None:
        self._listen = listen
        self._ended = ended
        self._waiting: dict[UUID, list[threading.Event]] = {}
        self._lock = threading.Lock()
        self._someone = threading.Event()
        self._reader: threading.Thread | None = None

    @contextmanager
    def watch(self, run_id: UUID) -> Iterator[threading.Event]:
        """Yield an event that is set when the run has ended. Enter before the run is inserted."""
        end = threading.Event()

        def on_state(data: Mapping[str, Any]) -> None:
            if RunStatus(data["status"]).terminal:
                end.set()

        with self._lock:
            self._waiting.setdefault(run_id, []).append(end)
            self._someone.set()
            if self._reader is None or not self._reader.is_alive():
                self._reader = threading.Thread(target=self._read, name="end-waiter", daemon=True)
                self._reader.start()
        try:
            with self._listen(f"workflow_run:{run_id}", on_state):
                yield end
        finally:
            with self._lock:
                self._waiting[run_id].remove(end)
                if not self._waiting[run_id]:
                    del self._waiting[run_id]
                if not self._waiting:
                    self._someone.clear()

    def submit(
        self,
        submit: Callable[[UUID], Accepted],
        get: Callable[[UUID], Run],
        wait: Callable[[threading.Event], None],
    ) -> Accepted:
        """Submit under a new run id, and return the run as it is after `wait`, which gets the event of its end."""
        run_id = uuid4()
        # Listen before the insert, so that the end is not missed.
        with self.watch(run_id) as end:
            accepted = submit(run_id)
            if accepted.status.terminal:
                return accepted
            repeated = accepted.id != run_id
            with self.watch(accepted.id) if repeated else nullcontext(end) as this_end:
                # An existing run may have ended before we listened.
                if not (repeated and get(accepted.id).status.terminal):
                    wait(this_end)
        run = get(accepted.id)
        return Accepted(id=run.id, status=run.status, result=run.result, error=run.error, created=accepted.created)

    def _read(self) -> None:
        pause = threading.Event()
        while True:
            self._someone.wait()
            pause.wait(SAFETY_READ_SECONDS)
            with self._lock:
                run_ids = list(self._waiting)
            if not run_ids:
                continue
            try:
                ended = self._ended(run_ids)
            except PixelBloomError as error:
                log.warning("safety_read_failed", reason=error.message)
                continue
            except Exception:
                log.exception("safety_read_failed")
                continue
            with self._lock:
                for run_id in ended:
                    for end in self._waiting.get(run_id, ()):
                        end.set()
