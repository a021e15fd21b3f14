"""The sign of life of a worker that beat sends to."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.pulse")
def pulse(queue: str) -> None:
    """Record that a worker of this queue runs tasks and reaches the database."""
    parts = services()
    if not parts.gateway.reached:
        parts.gateway.check()
    parts.pulses.record(queue)
