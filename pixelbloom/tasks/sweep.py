"""Recovers the work of dead processes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import structlog

from pixelbloom.celery_app import app
from pixelbloom.container import Container
from pixelbloom.runs.dispatcher import PUBLISHED_AT
from pixelbloom.runs.status import Priority, broker_list
from pixelbloom.tasks import rabbitmq
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.5
LIMIT = 500
#: Allowance for the time between a step's commit and its message's arrival at the broker, and for clock skew.
MARGIN = timedelta(seconds=10)
#: The key with the time this Redis was first seen; missing after Redis lost its data.
EPOCH_KEY = "pb:epoch"


@app.task(name="pixelbloom.sweep_runs")
def sweep_runs() -> dict[str, int]:
    """Release expired leases, publish again what the broker lost, and admit due runs."""
    parts = services()
    found = parts.run_store.sweep(interval_seconds=INTERVAL_SECONDS, lost_before=_lost_before(parts), limit=LIMIT)
    if found["skipped"]:
        return {}
    parts.dispatcher.publish(found["publish"], found["updates"])
    parts.metrics.swept(found["expired"], found["lost"])
    counts = {"expired": found["expired"], "lost": found["lost"], "published": len(found["publish"])}
    if found["expired"] or found["lost"] or found["outage"]:
        log.warning("runs_recovered", outage=found["outage"], **counts)
    return counts


def _lost_before(parts: Container) -> Mapping[int, datetime]:
    if parts.settings.broker_url is None:
        return lost_before(parts.redis)
    return rabbitmq.lost_before(parts.celery, parts.run_store.newest_running, MARGIN)


def lost_before(client: redis.Redis) -> dict[int, datetime]:
    """Return for each priority a time; a step published before it and still unclaimed is no longer at the broker.

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
    since = datetime.fromisoformat(text(epoch))
    return {
        priority.number: max(since, (published_at(message) if message else now) - MARGIN)
        for priority, message in zip(Priority, oldest, strict=True)
    }


def published_at(message: bytes | str) -> datetime:
    """Return when a message of the queue was published, from its header."""
    header: dict[str, Any] = json.loads(message).get("headers") or {}
    stamp = header.get(PUBLISHED_AT)
    return datetime.fromisoformat(stamp) if stamp else datetime.min.replace(tzinfo=UTC) + MARGIN


def text(value: bytes | str) -> str:
    """Decode a Redis value, which is bytes or text depending on the client's settings."""
    return value.decode() if isinstance(value, bytes) else value
