"""Keeps the roll-ups of the figures up to date."""

from datetime import timedelta

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.fold_figures")
def fold_figures() -> timedelta | None:
    """Add what was written since the last call to the roll-ups. Return when to continue."""
    return services().rollups.update()
