"""Deletes rows that are older than their retention, in bounded batches."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from pixelbloom.celery_app import app
from pixelbloom.container import Container
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

#: Rows deleted in one transaction, and seconds for which one task goes on.
BATCH = 500
BUDGET_SECONDS = 8.0
#: The settings of the kinds of `purge_rows`.
RECORDS = {
    "agent_logs": "agent_log_retention_days",
    "model_metrics": "model_metric_retention_days",
    "webhook_deliveries": "webhook_delivery_retention_days",
    "event_outbox": "event_retention_days",
    "stripe_events": "stripe_event_retention_days",
    "conversations": "removed_row_retention_days",
    "leads": "removed_row_retention_days",
}

#: Deletes at most so many rows from before a time and returns their number.
Purge = Callable[[datetime, int], int]


@app.task(name="pixelbloom.purge_runs")
def purge_runs() -> timedelta | None:
    """Delete runs that ended more than RUN_RETENTION_DAYS ago. Return when to continue if some are left."""
    return _purged({"run_retention_days": {"runs": services().run_store.purge}})


@app.task(name="pixelbloom.purge_notifications")
def purge_notifications() -> timedelta | None:
    """Delete expired notifications, and read and unread ones after their retention.

    Return when to continue if some are left.
    """
    parts = services()
    return _purged(
        {
            "notification_retention_days": {"notifications": parts.notifications.purge},
            "unread_notification_retention_days": {"unread_notifications": _of_kind(parts, "unread_notifications")},
        }
    )


@app.task(name="pixelbloom.purge_records")
def purge_records() -> timedelta | None:
    """Delete old rows of RECORDS. Return when to continue if some are left."""
    parts = services()
    purges: dict[str, dict[str, Purge]] = {}
    for kind, setting in RECORDS.items():
        purges.setdefault(setting, {})[kind] = _of_kind(parts, kind)
    return _purged(purges)


def _of_kind(parts: Container, kind: str) -> Purge:
    return partial(parts.retention.purge, kind)


def _purged(purges: Mapping[str, Mapping[str, Purge]]) -> timedelta | None:
    """Delete rows by the setting of their retention.

    Returns None if nothing is left; after BUDGET_SECONDS zero, so that the task is due again at once. So the deletes
    keep up with any rate at which rows are written, and other tasks run in between.
    """
    settings, now = services().settings, datetime.now(UTC)
    due = {
        kind: partial(purge, now - timedelta(days=days), BATCH)
        for setting, kinds in purges.items()
        if (days := getattr(settings, setting)) is not None
        for kind, purge in kinds.items()
    }
    counts, left = drain(due, until=time.monotonic() + BUDGET_SECONDS)
    if any(counts.values()):
        log.info("rows_purged", left=sorted(left), **{kind: count for kind, count in counts.items() if count})
    return timedelta() if left else None


def drain(purges: Mapping[str, Callable[[], int]], *, until: float) -> tuple[dict[str, int], set[str]]:
    """Call each function in turn, again and again, until it deletes less than BATCH, or until a monotonic time.

    Returns how much each deleted, and those that have more to delete.
    """
    counts, left = dict.fromkeys(purges, 0), set(purges)
    while left and time.monotonic() < until:
        for kind in sorted(left):
            gone = purges[kind]()
            counts[kind] += gone
            if gone < BATCH:
                left.discard(kind)
    return counts, left
