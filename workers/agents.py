"""The agents worker runs the steps of runs: `celery -A workers.agents worker -n agents@%h`."""

import threading
from collections.abc import Mapping
from typing import Any

import click
from celery.signals import celeryd_init, worker_ready, worker_shutdown, worker_shutting_down

from pixelbloom.runs.capacity import CapacityReporter
from pixelbloom.startup import required_settings
from pixelbloom.tasks.container import services
from workers.role import role

GRACE_SECONDS = 6.0
GRACE = click.Option(
    ["--stop-grace"],
    type=click.FloatRange(min=0),
    default=GRACE_SECONDS,
    show_default=True,
    help="Seconds after the signal to stop in which running steps may end; the others go to another worker.",
)
#: Time to send the messages of steps that were handed back or admitted last.
FLUSH_SECONDS = 5.0

app = role("agents", concurrency=required_settings().agent_concurrency)
app.user_options["worker"].add(GRACE)
_grace = GRACE_SECONDS
_capacity = CapacityReporter(lambda slots: services().run_store.report_worker(services().worker, slots))


@celeryd_init.connect
def read_options(options: Mapping[str, Any], **_: Any) -> None:
    """Read the options of the command line."""
    global _grace
    _grace = options.get("stop_grace", GRACE_SECONDS)


@worker_ready.connect
def report_capacity(sender: Any, **_: Any) -> None:
    """Report the worker's capacity, which admission follows, once what executes steps is loaded."""
    services().executor  # noqa: B018  (built on first use, which would hold up the first step)
    _capacity.start(sender.controller.concurrency)


@worker_shutting_down.connect
def hand_back(**_: Any) -> None:
    """Hand back unfinished steps after the grace period, so that no step waits for its lease to expire.

    Celery's soft shutdown cannot do this: its threads pool cannot end a task.
    """
    timer = threading.Timer(_grace, services().leases.stop_all)
    timer.daemon = True
    timer.start()
    _capacity.stop()


@worker_shutdown.connect
def send_the_rest(**_: Any) -> None:
    """Send the steps that were handed back to the broker now; otherwise the sweep finds them seconds later."""
    services().dispatcher.flush(FLUSH_SECONDS)
