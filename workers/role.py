"""The common setup of worker roles: settings, queue, pool, logs and watchdog."""

from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging

from pixelbloom.celery_app import app
from pixelbloom.logs import configure_celery
from pixelbloom.startup import BACKEND, required_settings
from workers import banner, metrics, telemetry, transport
from workers.broker import shorten
from workers.health import record
from workers.watchdog import watch


def role(queue: str, *, concurrency: int) -> Celery:
    """Return the Celery app, configured as the worker of one queue.

    It uses threads: steps wait for models, and shutting a socket wakes a thread's blocked read.
    """
    required_settings("redis_url")
    transport.install()
    metrics.install()
    telemetry.install(queue)
    app.conf.update(
        worker_pool="threads", worker_concurrency=concurrency, worker_consumer="workers.broker:RoleConsumer"
    )
    app.amqp.queues.select([queue])
    watch(app)
    record(app)
    configure_celery()
    banner.silence_worker()
    setup_logging.connect(shorten, weak=False)  # connected last, because it changes the logging set up before
    return app


@celeryd_init.connect
def check_settings(**_: Any) -> None:
    """Check the tasks' settings before a worker starts."""
    required_settings(*BACKEND)
