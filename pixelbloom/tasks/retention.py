"""Deletes rows that are older than their retention. Each task returns when to continue if some are left."""

from datetime import timedelta

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.purge_runs")
def purge_runs() -> timedelta | None:
    """Delete runs that ended more than RUN_RETENTION_DAYS ago."""
    return services().retention.purge_runs()


@app.task(name="pixelbloom.purge_notifications")
def purge_notifications() -> timedelta | None:
    """Delete expired notifications, and read and unread ones after their retention."""
    return services().retention.purge_notifications()


@app.task(name="pixelbloom.purge_records")
def purge_records() -> timedelta | None:
    """Delete old rows of logs, metrics, deliveries, events, and removed leads and conversations."""
    return services().retention.purge_records()
