"""Publishing what the outbox still holds."""

import structlog

from pixelbloom.queue import app
from pixelbloom.tasks.services import services

log = structlog.get_logger(__name__)

BATCH = 500
#: A turn lasts this long; a relay that died lets the next one in after it.
TURN_SECONDS = 10.0
#: Batches in one task; what is left waits for the next beat.
MAX_BATCHES = 40


@app.task(name="pixelbloom.relay_outbox")
def relay_outbox() -> int:
    """Publish the outbox in order and remove what was published. Answers how many.

    A row whose event was published already is dropped by the publisher, for it is not newer.
    """
    parts = services()
    published: list[int] = []
    total = 0
    for _ in range(MAX_BATCHES):
        rows = parts.outbox.take(parts.worker, published, limit=BATCH, lease_seconds=TURN_SECONDS)
        if not rows:
            return total
        parts.publisher.tell([row["payload"] for row in rows])
        published = [row["id"] for row in rows]
        total += len(rows)
    parts.outbox.take(parts.worker, published, limit=1, lease_seconds=TURN_SECONDS)
    return total
