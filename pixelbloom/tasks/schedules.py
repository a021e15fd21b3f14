"""Starting runs by the clock."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.fire_schedules")
def fire_schedules() -> int:
    """Start what is due. Safe to run twice, also at once: each time of a schedule gives one run."""
    return services().schedules.fire_due()
