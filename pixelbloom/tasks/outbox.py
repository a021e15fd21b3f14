"""Publishes the outbox."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.relay_outbox")
def relay_outbox() -> int:
    """Publish the outbox in order and remove the published rows. Return their number."""
    return services().relay.publish()
