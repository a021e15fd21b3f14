"""What every worker role shares: its settings, its queue, its pool, its logs, and knowing when to give up."""

from typing import Any

from celery import Celery
from celery.signals import celeryd_init

from pixelbloom.logs import configure_celery
from pixelbloom.queue import app
from pixelbloom.startup import BACKEND, required_settings
from workers.watchdog import watch


def role(queue: str, *, concurrency: int) -> Celery:
    """The Celery app as the worker of one queue.

    Threads: steps wait for models, and a thread's blocked read can be woken by shutting its socket.
    """
    required_settings("redis_url")
    app.conf.update(worker_pool="threads", worker_concurrency=concurrency)
    app.amqp.queues.select([queue])
    watch(app)
    configure_celery()
    return app


@celeryd_init.connect
def check_settings(**_: Any) -> None:
    """Before a worker starts: its tasks need more than the broker."""
    required_settings(*BACKEND)
