"""Publishes the outbox."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from pixelbloom.celery_app import app
from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

BATCH = 500
#: The lease of a relay; after a relay died, the next one starts when it expires.
RELAY_LEASE_SECONDS = 10.0
#: Batches per task; the rest waits for the next beat.
MAX_BATCHES = 40
RUN = "workflow_status_update"


@app.task(name="pixelbloom.relay_outbox")
def relay_outbox() -> int:
    """Publish the outbox in order and remove the published rows. Return their number.

    The publisher drops duplicates: a run's state that is not newer, an event that was published before.
    """
    parts = services()
    published: list[int] = []
    total = 0
    for _ in range(MAX_BATCHES):
        rows = parts.outbox.take(parts.worker, published, limit=BATCH, lease_seconds=RELAY_LEASE_SECONDS)
        if not rows:
            return total
        parts.publisher.publish_payloads([row["payload"] for row in rows if row["type"] == RUN])
        parts.publisher.domain_events(_events([row for row in rows if row["type"] != RUN]))
        published = [row["id"] for row in rows]
        total += len(rows)
        parts.metrics.events_relayed(len(rows))
    parts.outbox.take(parts.worker, published, limit=1, lease_seconds=RELAY_LEASE_SECONDS)
    return total


def _events(rows: Sequence[Mapping[str, Any]]) -> list[DomainEvent]:
    """Return the rows' events. An invalid row is logged and dropped: it would block all others forever."""
    events: list[DomainEvent] = []
    for row in rows:
        try:
            events.append(domain.read(row["type"], row["payload"]))
        except ValueError as error:
            log.error("event_not_understood", id=row["id"], type=row["type"], reason=str(error).splitlines()[0])
    return events
