"""The infrequent tasks in the database: each starts once when it is due, and again if it did not finish."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Unavailable
from pixelbloom.periodic.jobs import JOBS, DueJobs
from pixelbloom.periodic.store import PeriodicTaskStore
from pixelbloom.tasks.periodic import FUNCTIONS

NIGHT = "the_night"
SOON = timedelta(hours=1)


@pytest.fixture
def periodic(gateway: Gateway, db: psycopg.Connection) -> Iterator[PeriodicTaskStore]:
    db.execute("truncate public.periodic_tasks")
    yield PeriodicTaskStore(gateway)
    db.execute("truncate public.periodic_tasks")


def test_the_infrequent_tasks_that_beat_looks_for_are_those_that_run() -> None:
    assert tuple(FUNCTIONS) == tuple(JOBS)


def begin(periodic: PeriodicTaskStore, first: datetime, lease: float = 3600) -> list[str]:
    return periodic.begin({NIGHT: (first, lease)})


def make_due(db: psycopg.Connection) -> None:
    db.execute("update public.periodic_tasks set due_at = now() - interval '1 minute' where name = %s", (NIGHT,))


def test_a_task_that_never_ran_waits_for_its_first_time(periodic: PeriodicTaskStore) -> None:
    assert begin(periodic, datetime.now(UTC) + SOON) == []
    # The first time is fixed: a later call with another one does not change it.
    assert begin(periodic, datetime.now(UTC) - SOON) == []


def test_a_due_task_is_started_once_until_its_next_time(periodic: PeriodicTaskStore) -> None:
    past = datetime.now(UTC) - SOON
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: begin(periodic, past), range(16)))
    assert sorted(begun) == [*([[]] * 15), [NIGHT]]
    periodic.finish({NIGHT: datetime.now(UTC) + SOON})
    assert begin(periodic, past) == []


def test_a_time_missed_during_an_outage_of_beat_is_due_afterwards(
    periodic: PeriodicTaskStore, db: psycopg.Connection
) -> None:
    begin(periodic, datetime.now(UTC) + SOON)
    make_due(db)
    assert begin(periodic, datetime.now(UTC) + SOON) == [NIGHT]


def test_a_task_that_did_not_finish_is_due_again_after_its_lease(
    periodic: PeriodicTaskStore, db: psycopg.Connection
) -> None:
    past = datetime.now(UTC) - SOON
    assert begin(periodic, past, lease=0) == [NIGHT]
    assert begin(periodic, past, lease=3600) == [NIGHT]
    assert begin(periodic, past) == []


@pytest.mark.parametrize("error", [Unavailable("Stripe is away."), ValueError("a fault of ours")])
def test_a_failing_task_delays_no_other_and_is_due_again_after_its_lease(
    periodic: PeriodicTaskStore, db: psycopg.Connection, error: Exception
) -> None:
    def fails() -> None:
        raise error

    functions = {name: fails if name == "purge_runs" else lambda: None for name in JOBS}
    others = [name for name in JOBS if name not in ("purge_runs", "reconcile_subscriptions")]  # the latter is nightly
    jobs = DueJobs(periodic, functions)

    assert jobs.run() == others
    assert jobs.run() == []

    lease = timedelta(seconds=JOBS["purge_runs"].lease_seconds)
    db.execute("update public.periodic_tasks set due_at = due_at - %s where name = 'purge_runs'", (lease,))
    functions["purge_runs"] = lambda: None
    assert jobs.run() == ["purge_runs"]
