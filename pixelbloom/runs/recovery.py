"""Recovers the work of dead processes: expired leases, and steps whose message the broker has lost."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import structlog
from celery import Celery

from pixelbloom.core.queues import AGENTS
from pixelbloom.runs.dispatcher import PUBLISHED_AT, Dispatcher
from pixelbloom.runs.status import Priority, broker_list
from pixelbloom.runs.transitions import RunTransitions
from pixelbloom.telemetry.recorder import Recorder

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.5
LIMIT = 500
#: Allowance for the time between a step's commit and its message's arrival at the broker, and for clock skew.
MARGIN = timedelta(seconds=10)
#: The key with the time this Redis was first seen; missing after Redis lost its data.
EPOCH_KEY = "pb:epoch"
NOTHING_LOST = dict.fromkeys((priority.number for priority in Priority), datetime.min.replace(tzinfo=UTC))

#: Maps a priority's number to a time. A step published before it and still unclaimed is no longer at the broker.
LostBefore = Mapping[int, datetime]


class Recovery:
    """Recovers stalled runs. `lost_before` is `lost_by_redis` or `lost_by_rabbitmq`, bound to its arguments."""

    def __init__(
        self, store: RunTransitions, dispatcher: Dispatcher, lost_before: Callable[[], LostBefore], metrics: Recorder
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._lost_before = lost_before
        self._metrics = metrics

    def sweep(self) -> dict[str, int]:
        """Release expired leases, publish again what the broker lost, and admit due runs. Return their numbers.

        Nothing happens, and nothing is returned, within INTERVAL_SECONDS of another sweep. May raise Unavailable.
        """
        found = self._store.sweep(interval_seconds=INTERVAL_SECONDS, lost_before=self._lost_before(), limit=LIMIT)
        if found["skipped"]:
            return {}
        self._dispatcher.publish(found["publish"], found["updates"])
        self._metrics.swept(found["expired"], found["lost"])
        counts = {"expired": found["expired"], "lost": found["lost"], "published": len(found["publish"])}
        if found["expired"] or found["lost"] or found["outage"]:
            log.warning("runs_recovered", outage=found["outage"], **counts)
        return counts


def lost_by_redis(client: redis.Redis) -> LostBefore:
    """Return the time before which steps count as lost by Redis.

    Each list of the queue is first in, first out: anything published before its oldest message has left it. After
    Redis lost its data, everything published before is gone.
    """
    now = datetime.now(UTC)
    pipe = client.pipeline(transaction=False)
    pipe.set(EPOCH_KEY, now.isoformat(), nx=True)
    pipe.get(EPOCH_KEY)
    for priority in Priority:
        pipe.lindex(broker_list(priority), -1)
    _, epoch, *oldest = pipe.execute()
    since = datetime.fromisoformat(_text(epoch))
    return {
        priority.number: max(since, (_published_at(message) if message else now) - MARGIN)
        for priority, message in zip(Priority, oldest, strict=True)
    }


def lost_by_rabbitmq(app: Celery, newest_running: Callable[[], Mapping[int, datetime]]) -> LostBefore:
    """Return the time before which steps count as lost by RabbitMQ, whose queue, unlike a list, cannot be looked into.

    If the queue is empty, that is now. Otherwise it is when the newest step that runs now was published: a queue is
    first in, first out within a priority, so what was published earlier has left it. While nothing runs, nothing counts
    as lost, or the messages that wait for workers would be published again and again. Both are less the MARGIN.
    """
    try:
        waiting = waiting_messages(app)
    except Exception as error:  # of the broker or of a channel; leases are still to be swept
        log.warning("broker_not_asked", reason=type(error).__name__)
        return NOTHING_LOST
    if waiting:
        return {**NOTHING_LOST, **{number: at - MARGIN for number, at in newest_running().items()}}
    return dict.fromkeys(NOTHING_LOST, datetime.now(UTC) - MARGIN)


def waiting_messages(app: Celery) -> int:
    """Return the number of messages that wait in the agents' queue, which is created if the broker has lost it."""
    queue, retries = app.amqp.queues[AGENTS], app.conf.broker_transport_options["max_retries"]
    with app.pool.acquire(block=True) as connection:
        connection.ensure_connection(max_retries=retries)  # `channel` does not open a lost one again
        with connection.channel() as channel:  # of its own, because an error of the broker closes it
            found = channel.queue_declare(
                queue=queue.name, durable=queue.durable, auto_delete=queue.auto_delete, arguments=queue.queue_arguments
            )
            return int(found.message_count)


def _published_at(message: bytes | str) -> datetime:
    """Return when a message of the queue was published, from its header."""
    header: dict[str, Any] = json.loads(message).get("headers") or {}
    stamp = header.get(PUBLISHED_AT)
    return datetime.fromisoformat(stamp) if stamp else datetime.min.replace(tzinfo=UTC) + MARGIN


def _text(value: bytes | str) -> str:
    """Decode a Redis value, which is bytes or text depending on the client's settings."""
    return value.decode() if isinstance(value, bytes) else value
