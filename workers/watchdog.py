"""Ends a worker process that lost its broker and did not reconnect.

A worker whose Redis was killed may stay alive without consuming. Its supervisor restarts it; its steps' leases expire
and other workers claim them.
"""

import os
import threading
import time
from typing import Any

import click
import structlog
from celery import Celery, bootsteps
from celery.signals import worker_shutting_down

from workers.broker import EXIT_CODE

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 30.0
PATIENCE = click.Option(
    ["--broker-patience"],
    type=click.FloatRange(min=1),
    default=PATIENCE_SECONDS,
    show_default=True,
    help="Seconds without the broker, once lost, after which the worker ends with exit code 70.",
)

#: Set during an orderly shutdown, which must not trip the watchdog.
_stopping = threading.Event()


@worker_shutting_down.connect
def _stand_down(**_: Any) -> None:
    _stopping.set()


class ConsumerWatchdog(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts after the consumer; measures how long the consumer is stopped."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, *, broker_patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        super().__init__(parent, **options)
        self._patience = broker_patience
        self._stopped_since: float | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="consumer-watchdog", daemon=True).start()

    def start(self, _parent: Any) -> None:
        self._stopped_since = None
        self._stopped.clear()

    def stop(self, _parent: Any) -> None:
        if self._stopped_since is None:
            self._stopped_since = time.monotonic()
        self._stopped.set()

    def _watch(self) -> None:
        while not _stopping.is_set():
            self._stopped.wait()  # the usual state needs no looking at
            since = self._stopped_since
            if since is not None and time.monotonic() - since > self._patience:
                log.error("worker_deaf", seconds=round(time.monotonic() - since))
                os._exit(EXIT_CODE)
            _stopping.wait(1.0)


def watch(app: Celery) -> None:
    """Add the watchdog, and its command-line option, to the app's workers."""
    app.steps["consumer"].add(ConsumerWatchdog)
    app.user_options["worker"].add(PATIENCE)
