"""The tasks that beat sends when they are due, and the pulse by which its health is judged."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Duty:
    """A task that beat sends, at most once in `every` seconds, while it is due.

    A message not consumed within `expires` seconds is dropped: the next one does its work.
    """

    name: str
    every: float
    expires: float


DUTIES = {
    duty.name: duty
    for duty in (
        Duty("sweep_runs", every=2.0, expires=4.0),
        Duty("fire_schedules", every=2.0, expires=4.0),
        Duty("send_due_webhooks", every=2.0, expires=4.0),
        Duty("send_broadcasts", every=2.0, expires=4.0),
        Duty("process_stripe_events", every=2.0, expires=4.0),
        Duty("relay_outbox", every=1.0, expires=2.0),
        Duty("run_due_tasks", every=10.0, expires=20.0),
    )
}
#: Seconds between the pulses of beat, and those that it sends through each worker.
PULSE_SECONDS = 15.0
