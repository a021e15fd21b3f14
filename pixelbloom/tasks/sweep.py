"""Putting right what dead processes left behind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import structlog

from pixelbloom.celery_app import app
from pixelbloom.runs.model import BROKER_PRIORITY, Priority
from pixelbloom.runs.planner import AGENTS_QUEUE, PUBLISHED_AT
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.5
LIMIT = 500
#: Between a step's commit and its message's arrival at the broker, and for clocks that differ.
MARGIN = timedelta(seconds=10)
#: Holds when this Redis was first seen; gone when Redis lost its data.
EPOCH_KEY = "pb:epoch"
#: kombu's own, between a queue's name and a priority.
PRIORITY_SEPARATOR = "\x06\x16"
#: Runs removed in one task; the next one goes on.
PURGE_BATCH = 500
PURGE_BATCHES = 20


@app.task(name="pixelbloom.sweep_runs")
def sweep_runs() -> dict[str, int]:
    """Take back expired leases, publish again what the broker lost, admit what is due."""
    parts = services()
    found = parts.run_store.sweep(interval_seconds=INTERVAL_SECONDS, lost_before=lost_before(parts.redis), limit=LIMIT)
    if found["skipped"]:
        return {}
    parts.dispatcher.publish(found["publish"], found["updates"])
    counts = {"expired": found["expired"], "lost": found["lost"], "published": len(found["publish"])}
    if found["expired"] or found["lost"] or found["outage"]:
        log.warning("sweep_mended", outage=found["outage"], **counts)
    return counts


@app.task(name="pixelbloom.purge_runs")
def purge_runs() -> int:
    """Remove runs that ended longer ago than RUN_RETENTION_DAYS, in bounded batches. Answers how many."""
    parts = services()
    days = parts.settings.run_retention_days
    if days is None:
        return 0
    before, total = datetime.now(UTC) - timedelta(days=days), 0
    for _ in range(PURGE_BATCHES):
        gone = parts.run_store.purge(before, PURGE_BATCH)
        total += gone
        if gone < PURGE_BATCH:
            break
    if total:
        log.info("runs_purged", count=total, days=days)
    return total


def lost_before(client: redis.Redis) -> dict[int, datetime]:
    """For each priority: a step published before this moment, and still not taken, is no longer at the broker.

    Each of the queue's lists is first in, first out: what was published before its oldest message has left it. And
    after Redis lost its data, whatever was published before is gone.
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


def broker_list(priority: Priority) -> str:
    """The list in Redis that kombu keeps the messages of a priority in."""
    number = BROKER_PRIORITY[priority]
    return f"{AGENTS_QUEUE}{PRIORITY_SEPARATOR}{number}" if number else AGENTS_QUEUE


def published_at(message: bytes | str) -> datetime:
    """When a message of the queue was published, by its own header."""
    header: dict[str, Any] = json.loads(message).get("headers") or {}
    stamp = header.get(PUBLISHED_AT)
    return datetime.fromisoformat(stamp) if stamp else datetime.min.replace(tzinfo=UTC) + MARGIN


def text(value: bytes | str) -> str:
    """Redis answers bytes or text, by its client's settings."""
    return value.decode() if isinstance(value, bytes) else value
