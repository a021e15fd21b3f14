"""Deletes rows that are older than their retention, in bounded batches."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from pixelbloom.config import Settings
from pixelbloom.database.gateway import Gateway

log = structlog.get_logger(__name__)

#: Rows deleted in one transaction, and seconds for which one call goes on.
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


class RetentionStore:
    """Deletes rows of a kind. Every method may raise Unavailable, and may be repeated."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def purge(self, kind: str, before: datetime, limit: int) -> int:
        """Delete at most `limit` rows of a kind, the oldest first. Return the number deleted.

        The kinds, and what counts as a row's age, are those of the SQL function `purge_rows`.
        """
        deleted: int = self._gateway.rpc(
            "purge_rows", {"p_kind": kind, "p_before": before.isoformat(), "p_limit": limit}
        )
        return deleted


class Retention:
    """The retention of this deployment. Every method may raise Unavailable, and may be repeated.

    Each purge returns None if nothing is left; after BUDGET_SECONDS zero, so that the task is due again at once. So the
    deletes keep up with any rate at which rows are written, and other tasks run in between.
    """

    def __init__(self, store: RetentionStore, settings: Settings, *, runs: Purge, notifications: Purge) -> None:
        self._store = store
        self._settings = settings
        self._runs = runs
        self._notifications = notifications

    def purge_runs(self) -> timedelta | None:
        """Delete runs that ended more than RUN_RETENTION_DAYS ago. Return when to continue if some are left."""
        return self._purged({"run_retention_days": {"runs": self._runs}})

    def purge_notifications(self) -> timedelta | None:
        """Delete expired notifications, and read and unread ones after their retention.

        Return when to continue if some are left.
        """
        return self._purged(
            {
                "notification_retention_days": {"notifications": self._notifications},
                "unread_notification_retention_days": {"unread_notifications": self._of_kind("unread_notifications")},
            }
        )

    def purge_records(self) -> timedelta | None:
        """Delete old rows of RECORDS. Return when to continue if some are left."""
        purges: dict[str, dict[str, Purge]] = {}
        for kind, setting in RECORDS.items():
            purges.setdefault(setting, {})[kind] = self._of_kind(kind)
        return self._purged(purges)

    def _of_kind(self, kind: str) -> Purge:
        return partial(self._store.purge, kind)

    def _purged(self, purges: Mapping[str, Mapping[str, Purge]]) -> timedelta | None:
        """Delete rows by the setting of their retention."""
        now = datetime.now(UTC)
        due = {
            kind: partial(purge, now - timedelta(days=days), BATCH)
            for setting, kinds in purges.items()
            if (days := getattr(self._settings, setting)) is not None
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
