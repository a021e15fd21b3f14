"""Putting right what dead processes left behind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import structlog

from pixelbloom.queue import app
from pixelbloom.runs.dispatch import AGENTS_QUEUE
from pixelbloom.tasks.services import services

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.5
LIMIT = 500
#: Between a step's commit and its message's arrival at the broker, and for clocks that differ.
MARGIN = timedelta(seconds=10)
#: Holds when this Redis was first seen; gone when Redis lost its data.
EPOCH_KEY = "pb:epoch"


@app.task(name="pixelbloom.sweep_runs")
def sweep_runs() -> dict[str, int]:
    """Take back expired leases, publish again what the broker lost, admit what is due."""
    parts = services()
    found = parts.runs.sweep(interval_seconds=INTERVAL_SECONDS, lost_before=lost_before(parts.redis), limit=LIMIT)
    if found["skipped"]:
        return {}
    parts.dispatcher.publish(found["publish"], found["updates"])
    counts = {"expired": found["expired"], "lost": found["lost"], "published": len(found["publish"])}
    if found["expired"] or found["lost"] or found["outage"]:
        log.warning("sweep_mended", outage=found["outage"], **counts)
    return counts


def lost_before(client: redis.Redis) -> datetime:
    """A step published before this moment, and still not taken, is no longer at the broker.

    The queue is first in, first out: what was published before its oldest message has left it. And after Redis lost
    its data, whatever was published before is gone.
    """
    now = datetime.now(UTC)
    pipe = client.pipeline(transaction=False)
    pipe.set(EPOCH_KEY, now.isoformat(), nx=True)
    pipe.get(EPOCH_KEY)
    pipe.lindex(AGENTS_QUEUE, -1)
    _, epoch, oldest = pipe.execute()
    return max(datetime.fromisoformat(text(epoch)), (published_at(oldest) if oldest else now) - MARGIN)


def published_at(message: bytes | str) -> datetime:
    """When a message of the queue was published, by its own header."""
    header: dict[str, Any] = json.loads(message).get("headers") or {}
    stamp = header.get("published_at")
    return datetime.fromisoformat(stamp) if stamp else datetime.min.replace(tzinfo=UTC) + MARGIN


def text(value: bytes | str) -> str:
    """Redis answers bytes or text, by its client's settings."""
    return value.decode() if isinstance(value, bytes) else value
