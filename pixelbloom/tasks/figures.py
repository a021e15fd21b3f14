"""Keeps the roll-ups of the figures up to date."""

import time
from datetime import timedelta

import structlog

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

#: Changes added in one transaction, and rows from before the roll-ups.
FOLD_BATCH = 20_000
FILL_BATCH = 10_000
#: Seconds for which one task goes on.
BUDGET_SECONDS = 8.0
#: While there is work, so that readers have few changes to add up.
BUSY = timedelta(seconds=60)


@app.task(name="pixelbloom.fold_figures")
def fold_figures() -> timedelta | None:
    """Add the changes since the last call to the roll-ups, and rows that are older than the roll-ups.

    Return when to continue: zero if some are left, a minute if there were changes, None at rest. Figures are exact at
    any time; this bounds what a reader adds up.
    """
    store, until, folded = services().figures, time.monotonic() + BUDGET_SECONDS, 0
    while (count := store.fold(FOLD_BATCH)) == FOLD_BATCH:
        folded += count
        if time.monotonic() > until:
            return timedelta()
    folded += count
    while store.fill(FILL_BATCH):
        log.info("figures_filled", limit=FILL_BATCH)
        if time.monotonic() > until:
            return timedelta()
    return BUSY if folded else None
