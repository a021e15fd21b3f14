"""Traces and errors of a worker, where they are on."""

from typing import Any

from celery.signals import celeryd_init, worker_process_shutdown

from pixelbloom.config import settings
from pixelbloom.telemetry import sentry, tracing


def install(role: str) -> None:
    """Begin before the pool and its processes, and not for commands such as `celery inspect`."""
    chosen = settings()
    if not tracing.enabled(chosen) and chosen.sentry_dsn is None:
        return

    def begin(**_: Any) -> None:
        tracing.start(chosen, role)
        sentry.start(chosen, role)

    celeryd_init.connect(begin, weak=False)
    worker_process_shutdown.connect(_flush, weak=False)


def _flush(**_: Any) -> None:
    tracing.flush()
