"""Recovers the work of dead processes."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.sweep_runs")
def sweep_runs() -> dict[str, int]:
    """Release expired leases, publish again what the broker lost, and admit due runs. Return their numbers."""
    return services().recovery.sweep()
