"""The sign of life of a worker that beat sends to."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.pulse")
def pulse(queue: str) -> None:
    """Record that a worker of this queue runs tasks."""
    services().pulses.record(queue)
