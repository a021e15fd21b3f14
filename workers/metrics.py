"""Serves a worker's metrics on METRICS_PORT. Without the setting nothing here is connected or imported."""

import time
from typing import Any

import structlog
from celery.signals import celeryd_init, task_postrun, task_prerun, worker_process_shutdown, worker_ready

from pixelbloom.config import settings
from pixelbloom.tasks.container import services
from pixelbloom.telemetry import folder

log = structlog.get_logger(__name__)


def install() -> None:
    """Report this worker's metrics, if METRICS_PORT is set."""
    if settings().metrics_port is None:
        return
    celeryd_init.connect(_begin, weak=False)
    worker_ready.connect(_serve, weak=False)
    task_prerun.connect(_task_began, weak=False)
    task_postrun.connect(_task_ended, weak=False)
    worker_process_shutdown.connect(_process_ended, weak=False)


def _begin(**_: Any) -> None:
    folder.make()  # before the pool, so that its processes share it


def _serve(**_: Any) -> None:
    """Serve the metrics. A port that is in use is no reason to run no steps."""
    from pixelbloom.telemetry.worker_metrics import serve

    chosen = settings()
    assert chosen.metrics_port is not None
    assert services().metrics is not None  # created now: the first scrape has its zeros
    try:
        serve(chosen.metrics_address, chosen.metrics_port)
    except OSError as error:
        log.error("metrics_not_served", port=chosen.metrics_port, reason=str(error))
    else:
        log.info("metrics_served", address=chosen.metrics_address, port=chosen.metrics_port)


def _task_began(task: Any, **_: Any) -> None:
    task.request.began = time.perf_counter()


def _task_ended(task: Any, state: str | None = None, **_: Any) -> None:
    began = task.request.get("began")
    if began is not None:
        services().metrics.task_ended(task.name, state or "UNKNOWN", time.perf_counter() - began)


def _process_ended(**_: Any) -> None:
    from pixelbloom.telemetry.worker_metrics import forget_process

    forget_process()
