"""Sends broadcasts."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services

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
