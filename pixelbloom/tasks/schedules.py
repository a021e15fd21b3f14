"""Starts scheduled runs."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.fire_schedules")
def fire_schedules() -> int:
    """Start due runs. Safe to repeat, also concurrently: each time of a schedule starts one run."""
    return services().schedules.fire_due()
