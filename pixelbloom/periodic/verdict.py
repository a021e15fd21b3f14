"""Judges the health of the periodic tasks by how long ago beat and its workers last gave a pulse."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixelbloom.core.queues import EVENTS, MAINTENANCE, WEBHOOKS

#: Beat gives a pulse every 15 seconds; so does each worker that it sends to, unless it is busy.
OVERDUE_SECONDS = 45.0
BEAT = "beat"
#: The queues of beat's tasks.
FED = (MAINTENANCE, EVENTS, WEBHOOKS)
WATCHED = (BEAT, *FED)
START_BEAT = "pixelbloom beat"


@dataclass(frozen=True)
class Verdict:
    """The health of the periodic tasks; `problem` and `advice` are None if all of them run."""

    detail: str
    problem: str | None
    advice: str | None


def worker(queue: str) -> str:
    """Return the command that starts a worker of this queue."""
    return f"pixelbloom worker {queue}"


def judge(ages: Mapping[str, float]) -> Verdict:
    """Judge by the seconds since the last pulse of each sender; absent ones never gave one.

    Workers get their pulses from beat: without beat they are not judged.
    """
    beat = _ago(ages.get(BEAT))
    detail = f"last pulse: {beat}"
    late = [name for name in WATCHED if ages.get(name, float("inf")) > OVERDUE_SECONDS]
    if not late:
        return Verdict(detail, None, None)
    if BEAT in late:
        problem = f"no periodic task runs (last pulse: {beat}): beat is not running, or cannot reach the database"
        return Verdict(detail, problem, f"start beat: {START_BEAT}")
    shown = ", ".join(f"{name} {_ago(ages.get(name))}" for name in late)
    commands = "; ".join(worker(queue) for queue in late)
    return Verdict(detail, f"overdue: {shown}", f"start, or look for its errors: {commands}")


def _ago(age: float | None) -> str:
    return "never" if age is None else f"{age:.0f} s ago"
