"""Infrequent tasks. Due times are in Postgres, so a restart of beat, or a second beat, changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from pixelbloom.celery_app import app
from pixelbloom.errors import PixelBloomError
from pixelbloom.tasks.container import services
from pixelbloom.tasks.figures import fold_figures
from pixelbloom.tasks.payments import reconcile_subscriptions, release_lost_uses
from pixelbloom.tasks.retention import purge_notifications, purge_records, purge_runs

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
    """An infrequent task. After a failure it is due again in `lease_seconds`, which exceeds its run time.

    A task that returns a timedelta is due again after that, whatever `following` says: it has work left.
    """

    name: str
    run: Callable[[], object]
    first: Callable[[datetime], datetime]
    following: Callable[[datetime], datetime]
    lease_seconds: float

    def due_after(self, result: object, ended: datetime) -> datetime:
        """Return when the task is due after it returned this."""
        return ended + result if isinstance(result, timedelta) else self.following(ended)


NIGHTLY = daily(3, 15)
JOBS = (
    Job("fold_figures", fold_figures, at, every(300), lease_seconds=300.0),
    Job("purge_runs", purge_runs, at, every(300), lease_seconds=300.0),
    Job("purge_notifications", purge_notifications, at, every(300), lease_seconds=300.0),
    Job("purge_records", purge_records, at, every(300), lease_seconds=300.0),
    Job("release_lost_uses", release_lost_uses, at, every(300), lease_seconds=300.0),
    Job("reconcile_subscriptions", reconcile_subscriptions, NIGHTLY, NIGHTLY, lease_seconds=3600.0),
)


@app.task(name="pixelbloom.run_due_tasks")
def run_due_tasks() -> list[str]:
    """Run the tasks that are due and return the names of those that finished.

    Safe to repeat, also concurrently: each due time of a task is claimed by one worker.
    """
    periodic, now = services().periodic, datetime.now(UTC)
    begun = set(periodic.begin({job.name: (job.first(now), job.lease_seconds) for job in JOBS}))
    finished = []
    for job in JOBS:
        if job.name not in begun:
            continue
        try:
            again = job.run()
        except PixelBloomError as error:
            log.warning("periodic_task_failed", task=job.name, reason=error.message, again_in=job.lease_seconds)
        except Exception:
            log.exception("periodic_task_failed", task=job.name, again_in=job.lease_seconds)
        else:
            periodic.finish({job.name: job.due_after(again, datetime.now(UTC))})
            finished.append(job.name)
    return finished
