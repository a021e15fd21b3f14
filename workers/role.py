"""What every worker role shares: its settings, its queue, its pool, its logs, and knowing when to give up."""

from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging

from pixelbloom.celery_app import app
from pixelbloom.logs import configure_celery
from pixelbloom.startup import BACKEND, required_settings
from workers.broker import shorten
from workers.watchdog import watch


def role(queue: str, *, concurrency: int) -> Celery:
    """The Celery app as the worker of one queue.

    Threads: steps wait for models, and a thread's blocked read can be woken by shutting its socket.
    """
    required_settings("redis_url")
    app.conf.update(
        worker_pool="threads", worker_concurrency=concurrency, worker_consumer="workers.broker:RoleConsumer"
    )
    app.amqp.queues.select([queue])
    watch(app)
    configure_celery()
    setup_logging.connect(shorten, weak=False)  # after it, for it changes the logging that is set up there
    return app


@celeryd_init.connect
def check_settings(**_: Any) -> None:
    """Before a worker starts: its tasks need more than the broker."""
    required_settings(*BACKEND)
