"""The agents worker runs the steps of runs: `celery -A workers.agents worker -n agents@%h`."""

import threading
from typing import Any

from celery.signals import worker_shutting_down

from pixelbloom.startup import required_settings
from pixelbloom.tasks.services import services
from workers.role import role

#: Steps that end within this many seconds of the signal to stop may end; the others go to another worker.
GRACE_SECONDS = 6.0

app = role("agents", concurrency=required_settings().agent_concurrency)


@worker_shutting_down.connect
def hand_back(**_: Any) -> None:
    """A deploy costs no step its lease: what is not done soon is given back at once.

    Celery's own soft shutdown cannot do it: its threads pool has no way to end a task.
    """
    timer = threading.Timer(GRACE_SECONDS, services().leases.stop_all)
    timer.daemon = True
    timer.start()
