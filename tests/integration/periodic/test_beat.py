"""Periodic tasks: beat stores nothing, and due tasks survive restarts of beat and of workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from pixelbloom.config import Settings
from pixelbloom.database.gateway import Gateway
from pixelbloom.periodic.store import PeriodicTaskStore
from tests import ROOT
from tests.stack import Stack
from tests.waiting import until

NIGHT = "the_night"
SOON = timedelta(hours=1)


@pytest.fixture
def periodic(stack: Stack, db: psycopg.Connection) -> Iterator[PeriodicTaskStore]:
    db.execute("truncate public.periodic_tasks")
    gateway = Gateway(stack.settings)
    yield PeriodicTaskStore(gateway)
    gateway.close()
    db.execute("truncate public.periodic_tasks")


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


def test_the_age_of_each_task_that_finished_is_known(periodic: PeriodicTaskStore, db: psycopg.Connection) -> None:
    db.execute("update public.system_state set last_sweep_at = null")
    assert periodic.ages() == {}
    periodic.finish({"relay_outbox": None})
    db.execute("update public.periodic_tasks set last_finished_at = now() - interval '90 seconds'")
    db.execute("update public.system_state set last_sweep_at = now() - interval '50 seconds'")
    ages = periodic.ages()
    assert set(ages) == {"relay_outbox", "sweep_runs"}
    assert ages["relay_outbox"] >= 90
    assert 50 <= ages["sweep_runs"] < ages["relay_outbox"]


def blank_env(**given: str) -> dict[str, str]:
    blank = {name.upper(): "" for name in Settings.model_fields}
    return {**os.environ, **blank, "PYTHONPATH": str(ROOT), **given}


def test_beat_starts_in_an_empty_folder_and_writes_no_file(stack: Stack, redis: Redis, tmp_path: Path) -> None:
    beat = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "workers.clock", "beat"],
        cwd=tmp_path,
        env=blank_env(REDIS_URL=stack.redis_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def sent() -> bool:
        assert beat.poll() is None, beat.communicate()[0]
        return bool(redis.llen("maintenance") and redis.llen("events"))

    try:
        until(sent)
    finally:
        beat.send_signal(signal.SIGTERM)
        said, _ = beat.communicate(timeout=30)
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_intervals_of_beat_are_short_enough_to_survive_restarts(stack: Stack) -> None:
    code = "import celeryconfig as c; print(max(e['schedule'] for e in c.beat_schedule.values()))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=blank_env(REDIS_URL=stack.redis_url),
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(found.stdout) <= 10


def test_beat_and_a_worker_run_what_is_due_and_record_it(
    running: Stack, periodic: PeriodicTaskStore, db: psycopg.Connection
) -> None:
    for role in ("maintenance", "events", "webhooks", "beat"):
        running.start(role)
    wanted = {
        *("sweep_runs", "relay_outbox", "fire_schedules", "send_due_webhooks", "send_broadcasts"),
        *("process_stripe_events", "run_due_tasks", "purge_runs", "purge_notifications", "release_lost_uses"),
    }
    running.wait_for(lambda: wanted <= set(periodic.ages()))
    [(due,)] = db.execute("select due_at from public.periodic_tasks where name = 'reconcile_subscriptions'").fetchall()
    due = due.astimezone(UTC)
    assert (due.hour, due.minute) == (3, 15)
    assert timedelta() < due - datetime.now(UTC) <= timedelta(days=1)
