"""Finds the steps whose messages RabbitMQ has lost. Unlike a list of Redis, a queue cannot be looked into."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from celery import Celery

from pixelbloom.core.queues import AGENTS
from pixelbloom.runs.status import Priority

log = structlog.get_logger(__name__)

NOTHING_LOST = dict.fromkeys((priority.number for priority in Priority), datetime.min.replace(tzinfo=UTC))


def lost_before(
    app: Celery, newest_running: Callable[[], Mapping[int, datetime]], margin: timedelta
) -> Mapping[int, datetime]:
    """Return for each priority a time; a step published before it and still unclaimed is no longer at the broker.

    If the queue is empty, that is now. Otherwise it is when the newest step that runs now was published: a queue is
    first in, first out within a priority, so what was published earlier has left it. While nothing runs, nothing counts
    as lost, or the messages that wait for workers would be published again and again. Both are less the `margin`.
    """
    try:
        waiting = messages(app)
    except Exception as error:  # of the broker or of a channel; leases are still to be swept
        log.warning("broker_not_asked", reason=type(error).__name__)
        return NOTHING_LOST
    if waiting:
        return {**NOTHING_LOST, **{number: at - margin for number, at in newest_running().items()}}
    return dict.fromkeys(NOTHING_LOST, datetime.now(UTC) - margin)


def messages(app: Celery) -> int:
    """Return the number of messages that wait in the agents' queue, which is created if the broker has lost it."""
    queue, retries = app.amqp.queues[AGENTS], app.conf.broker_transport_options["max_retries"]
    with app.pool.acquire(block=True) as connection:
        connection.ensure_connection(max_retries=retries)  # `channel` does not open a lost one again
        with connection.channel() as channel:  # of its own, because an error of the broker closes it
            found = channel.queue_declare(
                queue=queue.name, durable=queue.durable, auto_delete=queue.auto_delete, arguments=queue.queue_arguments
            )
            return int(found.message_count)
