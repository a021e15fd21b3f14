"""Judges the health of the periodic tasks by how long ago each last finished."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixelbloom.core.queues import EVENTS, MAINTENANCE, WEBHOOKS

#: A task that beat sends every second or two is overdue if it has not finished for this long.
OVERDUE_SECONDS = 30.0
SWEEP = "sweep_runs"
#: The watched tasks and their queues; at least one task per queue that beat sends to.
WATCHED = {
    SWEEP: MAINTENANCE,
    "fire_schedules": MAINTENANCE,
    "relay_outbox": EVENTS,
    "send_due_webhooks": WEBHOOKS,
}
BEAT = "celery -A workers.clock beat"


@dataclass(frozen=True)
class Verdict:
    """The health of the periodic tasks; `problem` and `advice` are None if all of them run."""

    detail: str
    problem: str | None
    advice: str | None


def worker(queue: str) -> str:
    """Return the command that starts a worker of this queue."""
    return f"celery -A workers.{queue} worker -n {queue}@%h"


def judge(ages: Mapping[str, float]) -> Verdict:
    """Judge the tasks by the seconds since each last finished; absent tasks never did."""
    detail = f"last sweep: {_ago(ages.get(SWEEP))}"
    late = [name for name in WATCHED if ages.get(name, float("inf")) > OVERDUE_SECONDS]
    if not late:
        return Verdict(detail, None, None)
    shown = ", ".join(f"{name} {_ago(ages.get(name))}" for name in late)
    if len(late) == len(WATCHED):
        return Verdict(detail, f"no periodic task runs ({shown}): beat is not running", f"start beat: {BEAT}")
    commands = "; ".join(worker(queue) for queue in dict.fromkeys(WATCHED[name] for name in late))
    return Verdict(detail, f"overdue: {shown}", f"check beat ({BEAT}), and start: {commands}")


def _ago(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s ago"
