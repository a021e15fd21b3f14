"""The infrequent tasks: when each is due, and running those that are.

Due times are in Postgres, so a restart of beat, or a second beat, changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from pixelbloom.errors import PixelBloomError
from pixelbloom.periodic.store import PeriodicTaskStore

log = structlog.get_logger(__name__)


def at(moment: datetime) -> datetime:
    """Return the moment itself: a task that never ran is due at once."""
    return moment


def every(seconds: float) -> Callable[[datetime], datetime]:
    """Return the rule of a task that is due again this many seconds after its end."""
    return lambda moment: moment + timedelta(seconds=seconds)


def daily(hour: int, minute: int) -> Callable[[datetime], datetime]:
    """Return the rule of a task that is due at this time of each day, in UTC."""

    def following(moment: datetime) -> datetime:
        today = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return today if today > moment else today + timedelta(days=1)

    return following


@dataclass(frozen=True)
class Job:
    """When an infrequent task is due. After a failure that is in `lease_seconds`, which exceeds its run time.

    A task that returns a timedelta is due again after that, whatever `following` says: it has work left.
    """

    first: Callable[[datetime], datetime]
    following: Callable[[datetime], datetime]
    lease_seconds: float

    def due_after(self, result: object, ended: datetime) -> datetime:
        """Return when the task is due after it returned this."""
        return ended + result if isinstance(result, timedelta) else self.following(ended)


FREQUENTLY = Job(at, every(300), lease_seconds=300.0)
NIGHTLY = Job(daily(3, 15), daily(3, 15), lease_seconds=3600.0)
JOBS = {
    "fold_figures": FREQUENTLY,
    "purge_runs": FREQUENTLY,
    "purge_notifications": FREQUENTLY,
    "purge_records": FREQUENTLY,
    "release_lost_uses": FREQUENTLY,
    "reconcile_subscriptions": NIGHTLY,
}


class DueJobs:
    """Runs the infrequent tasks that are due. `functions` has the function of each of JOBS."""

    def __init__(self, store: PeriodicTaskStore, functions: Mapping[str, Callable[[], object]]) -> None:
        self._store = store
        self._functions = functions

    def run(self) -> list[str]:
        """Run what is due and return the names of the tasks that finished; a failure delays no other task.

        Safe to repeat, also concurrently: each due time of a task is claimed by one caller. May raise Unavailable.
        """
        now = datetime.now(UTC)
        begun = self._store.begin({name: (job.first(now), job.lease_seconds) for name, job in JOBS.items()})
        return [name for name in JOBS if name in begun and self._finished(name)]

    def _finished(self, name: str) -> bool:
        """Run a task that was begun. Return whether it succeeded."""
        job = JOBS[name]
        try:
            result = self._functions[name]()
        except PixelBloomError as error:
            log.warning("periodic_task_failed", task=name, reason=error.message, again_in=job.lease_seconds)
            return False
        except Exception:
            log.exception("periodic_task_failed", task=name, again_in=job.lease_seconds)
            return False
        self._store.finish({name: job.due_after(result, datetime.now(UTC))})
        return True
