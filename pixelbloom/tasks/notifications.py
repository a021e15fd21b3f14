"""Sends broadcasts."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.send_broadcasts")
def send_broadcasts() -> int:
    """Send administrators' broadcasts. Return the number of batches."""
    return services().broadcast_sender.send()
