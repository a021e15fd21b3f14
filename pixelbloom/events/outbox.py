"""The outbox: events stored in the transaction of their change, and published by a relay.

Most are published by the process that wrote them; the relay publishes what that process could not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from pixelbloom.database.gateway import Gateway
from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from pixelbloom.events.publisher import Publisher
from pixelbloom.telemetry.recorder import Recorder

log = structlog.get_logger(__name__)

BATCH = 500
#: After a relay died, the next one starts when its lease expires.
LEASE_SECONDS = 10.0
#: Batches per call; the rest waits for the next one.
MAX_BATCHES = 40
RUN = "workflow_status_update"


class OutboxStore:
    """Events written in the transaction of their change, removed once published."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def take(self, owner: str, published: Sequence[int], *, limit: int, lease_seconds: float) -> list[dict[str, Any]]:
        """Remove published rows and return the next ones, oldest first; none while another relay has the lease."""
        rows: list[dict[str, Any]] = self._gateway.rpc(
            "take_outbox",
            {
                "p_owner": owner,
                "p_published": list(published),
                "p_limit": limit,
                "p_lease_seconds": lease_seconds,
            },
        )
        return rows


class Relay:
    """The relay of one process; `worker` is the name under which it takes the lease."""

    def __init__(self, outbox: OutboxStore, publisher: Publisher, worker: str, metrics: Recorder) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._worker = worker
        self._metrics = metrics

    def publish(self) -> int:
        """Publish the outbox in order and remove the published rows. Return their number.

        The publisher drops duplicates: a run's state that is not newer, an event that was published before.
        """
        published: list[int] = []
        total = 0
        for _ in range(MAX_BATCHES):
            rows = self._outbox.take(self._worker, published, limit=BATCH, lease_seconds=LEASE_SECONDS)
            if not rows:
                return total
            self._publisher.publish_payloads([row["payload"] for row in rows if row["type"] == RUN])
            self._publisher.domain_events(_events([row for row in rows if row["type"] != RUN]))
            published = [row["id"] for row in rows]
            total += len(rows)
            self._metrics.events_relayed(len(rows))
        self._outbox.take(self._worker, published, limit=1, lease_seconds=LEASE_SECONDS)
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
