"""What every worker role shares: its queue, its pool, its logs, and knowing when to give up."""

from celery import Celery

from pixelbloom.logs import configure_celery
from pixelbloom.queue import app
from workers.watchdog import ConsumerWatchdog


def role(queue: str, *, concurrency: int) -> Celery:
    """The Celery app as the worker of one queue.

    Threads: steps wait for models, and a thread's blocked read can be woken by shutting its socket.
    """
    app.conf.update(worker_pool="threads", worker_concurrency=concurrency)
    app.amqp.queues.select([queue])
    app.steps["consumer"].add(ConsumerWatchdog)
    configure_celery()
    return app
