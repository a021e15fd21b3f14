"""Notifications to many users, and the end of old ones."""

from datetime import UTC, datetime, timedelta

import structlog

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

#: Users served in one transaction.
BATCH = 500
#: Batches in one task; the next beat goes on.
MAX_BATCHES = 40
OPEN_LIMIT = 20


@app.task(name="pixelbloom.send_broadcasts")
def send_broadcasts() -> int:
    """Send what administrators want told, a batch of users a transaction, in turns. Answers how many batches.

    Safe to repeat, and by two at once: nobody gets anything twice.
    """
    store, batches = services().broadcasts, 0
    while (ids := store.open(OPEN_LIMIT)) and batches < MAX_BATCHES:
        for broadcast_id in ids:
            store.send(broadcast_id, BATCH)
            batches += 1
    return batches


@app.task(name="pixelbloom.purge_notifications")
def purge_notifications() -> int:
    """Remove expired notifications, and read ones after NOTIFICATION_RETENTION_DAYS. Answers how many."""
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
