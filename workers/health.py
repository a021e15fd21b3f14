"""The record of a worker for `pixelbloom health`: updated while its main loop runs and it consumes."""

from typing import Any

from celery import Celery, bootsteps

from pixelbloom import health


class HealthRecord(bootsteps.StartStopStep):  # type: ignore[misc]
    """Runs on the timer of the consumer's loop, so a loop that is stuck updates nothing."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        (role,) = parent.app.amqp.queues.consume_from
        health.alive(role)
        self._timer = parent.timer.call_repeatedly(health.BEAT_SECONDS, health.alive, (role,))

    def stop(self, _parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()


def record(app: Celery) -> None:
    """Add the record to the app's workers."""
    app.steps["consumer"].add(HealthRecord)
