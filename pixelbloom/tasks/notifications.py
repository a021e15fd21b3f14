"""Sends broadcasts and purges old notifications."""

from datetime import UTC, datetime, timedelta

import structlog

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

#: Users served in one transaction.
BATCH = 500
#: Batches per task; the next beat continues.
MAX_BATCHES = 40
OPEN_LIMIT = 20


@app.task(name="pixelbloom.send_broadcasts")
def send_broadcasts() -> int:
    """Send administrators' broadcasts, one batch of users per transaction. Return the number of batches.

    Safe to repeat, also concurrently: each user gets a broadcast once.
    """
    store, batches = services().broadcasts, 0
    while (ids := store.open(OPEN_LIMIT)) and batches < MAX_BATCHES:
        for broadcast_id in ids:
            store.send(broadcast_id, BATCH)
            batches += 1
    return batches


@app.task(name="pixelbloom.purge_notifications")
def purge_notifications() -> int:
    """Delete expired notifications, and read ones after NOTIFICATION_RETENTION_DAYS. Return the number deleted."""
    parts = services()
    before = datetime.now(UTC) - timedelta(days=parts.settings.notification_retention_days)
    total = 0
    for _ in range(MAX_BATCHES):
        gone = parts.notifications.purge(before, BATCH)
        total += gone
        if gone < BATCH:
            break
    if total:
        log.info("notifications_purged", count=total)
    return total
