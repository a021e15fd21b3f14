"""Beat stores nothing, sleeps while nothing is due, and acts in time; due tasks survive restarts of all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from pixelbloom.config import Settings
from pixelbloom.core.queues import EVENTS, MAINTENANCE, QUEUES
from pixelbloom.periodic.duties import DUTIES, EXPIRES_SECONDS
from pixelbloom.periodic.listener import CHANNEL
from pixelbloom.periodic.pulses import Pulses
from pixelbloom.periodic.scheduler import IDLE_SECONDS, MAX_WAITING
from pixelbloom.periodic.verdict import WATCHED
from tests import ROOT
from tests.integration.periodic import rows
from tests.rows import one
from tests.servers.redis import OwnRedis
from tests.stack import Stack
from tests.waiting import SECONDS, until

#: Less than a beat that nobody wakes would sleep, and much more than one that is woken needs.
ACT_SECONDS = 28.0
#: A session of Postgres reports its calls after up to ten seconds without work.
REPORT_SECONDS = 11.0


def sleeps(db: psycopg.Connection) -> bool:
    """Return whether beat waits for a day or until it is woken."""
    return bool(one(db, "select next_look_at > now() + interval '1 day' from public.system_state"))


class Sleeper:
    """A beat without workers: what it sends stays in the queues."""

    def __init__(self, db: psycopg.Connection, redis: Redis) -> None:
        self._db = db
        self._redis = redis

    def fall_asleep(self) -> None:
        """Wait until only a writer would wake it within half a minute, and discard what it sent."""
        until(lambda: sleeps(self._db))
        time.sleep(sum(IDLE_SECONDS[:2]) + 1.0)
        assert sleeps(self._db)
        self._redis.delete(*QUEUES)

    def sent(self) -> set[str]:
        """Return the names of the tasks in the queues, except pulses."""
        return {headers["task"].removeprefix("pixelbloom.") for headers in self.headers()} - {"pulse"}

    def headers(self) -> list[dict[str, Any]]:
        """Return the headers of the messages in the queues."""
        return [json.loads(message)["headers"] for name in QUEUES for message in self._redis.lrange(name, 0, -1)]


@pytest.fixture
def counted(stack: Stack, rest: psycopg.Connection) -> Iterator[Callable[[], dict[str, int]]]:
    """Return the number of calls by name of the function that is called from outside, since the first call."""
    rest.execute("alter system set track_functions = 'all'")
    rest.execute("select pg_reload_conf()")

    def calls() -> dict[str, int]:
        query = "select funcname, calls from pg_stat_user_functions where schemaname = 'public'"
        return dict(rest.execute(query).fetchall())

    yield calls
    rest.execute("alter system reset track_functions")
    rest.execute("select pg_reload_conf()")


def blank_env(**given: str) -> dict[str, str]:
    blank = {name.upper(): "" for name in Settings.model_fields}
    return {**os.environ, **blank, "PYTHONPATH": str(ROOT), **given}


def test_beat_starts_in_an_empty_folder_writes_no_file_and_ends_at_once(
    stack: Stack, rest: psycopg.Connection, redis: Redis, tmp_path: Path
) -> None:
    names = ("REDIS_URL", "SUPABASE_URL", "SUPABASE_REST_URL", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")
    beat = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "workers.clock", "beat"],
        cwd=tmp_path,
        env=blank_env(**{name: stack.env[name] for name in names}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def asleep() -> bool:
        assert beat.poll() is None, beat.communicate()[0]
        return sleeps(rest)

    try:
        until(asleep)
    finally:
        beat.send_signal(signal.SIGTERM)
        said, _ = beat.communicate(timeout=SECONDS)
    assert beat.returncode == 0
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_beat_and_its_workers_run_what_is_due_and_give_pulses(
    running: Stack, rest: psycopg.Connection, redis: Redis
) -> None:
    rest.execute("truncate public.periodic_tasks")
    for role in ("maintenance", "events", "webhooks", "beat"):
        running.start(role)
    finished = "select array_agg(name) from public.periodic_tasks where last_finished_at is not null"
    wanted = {"fold_figures", "purge_runs", "purge_notifications", "purge_records", "release_lost_uses"}
    running.wait_for(lambda: set(one(rest, finished) or ()) == wanted)
    due = one(rest, "select due_at from public.periodic_tasks where name = 'reconcile_subscriptions'").astimezone(UTC)
    assert (due.hour, due.minute) == (3, 15)
    assert timedelta() < due - datetime.now(UTC) <= timedelta(days=1)
    running.wait_for(lambda: set(Pulses(redis).ages()) == set(WATCHED))


def test_a_queue_that_nobody_consumes_does_not_grow(running: Stack, rest: psycopg.Connection, redis: Redis) -> None:
    redis.rpush(MAINTENANCE, *["{}"] * MAX_WAITING)
    rows.lead(rest)
    rows.broadcast(rest)
    beat = running.start("beat")
    until(lambda: redis.llen(EVENTS) > 5, saw=lambda: beat.output)
    assert redis.llen(MAINTENANCE) == MAX_WAITING
    assert "queue_not_consumed" in beat.output

    redis.delete(MAINTENANCE)
    until(lambda: redis.llen(MAINTENANCE), saw=lambda: beat.output)


def test_a_sleeping_beat_sends_each_task_when_its_work_becomes_due(
    running: Stack, rest: psycopg.Connection, redis: Redis
) -> None:
    running.start("beat")
    beat = Sleeper(rest, redis)
    beat.fall_asleep()
    begun = datetime.now(UTC)
    soon = datetime.now(UTC) + timedelta(seconds=4)
    rows.schedule(rest, soon)
    rows.delivery(rest, soon)
    rows.stripe_event(rest, soon)
    rows.broadcast(rest)
    rows.step(rest, status="waiting", deadline_at=soon)
    rows.lead(rest)
    until(lambda: beat.sent() == set(DUTIES) - {"run_due_tasks"}, ACT_SECONDS, saw=beat.sent)
    rest.execute("update public.periodic_tasks set due_at = now() where name = 'purge_runs'")
    until(lambda: beat.sent() == set(DUTIES), saw=beat.sent)
    # A worker whose clock is ahead by less executes them all.
    work = [headers for headers in beat.headers() if headers["task"] != "pixelbloom.pulse"]
    first = min(datetime.fromisoformat(headers["expires"]) for headers in work)
    assert first - begun >= timedelta(seconds=EXPIRES_SECONDS)


def test_beat_sleeps_until_the_time_that_it_knows(running: Stack, rest: psycopg.Connection, redis: Redis) -> None:
    due = datetime.now(UTC) + timedelta(seconds=10)
    rows.schedule(rest, due)
    running.start("beat")
    beat = Sleeper(rest, redis)
    known = "select next_look_at > now() + interval '2 seconds' from public.system_state"
    until(lambda: one(rest, known) or datetime.now(UTC) >= due)  # a slow start may take until then
    assert beat.sent() == set() or datetime.now(UTC) >= due
    until(lambda: beat.sent() == {"fire_schedules"}, saw=beat.sent)
    assert datetime.now(UTC) >= due


def test_without_a_database_url_beat_looks_every_other_second(
    running: Stack, rest: psycopg.Connection, redis: Redis, counted: Callable[[], dict[str, int]]
) -> None:
    running.start("beat", env={"DATABASE_URL": ""})
    before = counted().get("look_for_due", 0)
    until(lambda: counted().get("look_for_due", 0) >= before + 4, saw=counted)
    assert not sleeps(rest)
    rows.lead(rest)
    until(lambda: Sleeper(rest, redis).sent() == {"relay_outbox"})


def test_beat_listens_again_after_its_connection_was_lost(
    running: Stack, rest: psycopg.Connection, redis: Redis
) -> None:
    running.start("beat")
    beat = Sleeper(rest, redis)
    beat.fall_asleep()
    ended = "select pg_terminate_backend(pid) from pg_stat_activity where query = %s"
    assert rest.execute(ended, [f"listen {CHANNEL}"]).fetchall() == [(True,)]
    until(lambda: not sleeps(rest), ACT_SECONDS)  # it looks at once, and knows that nobody would wake it
    beat.fall_asleep()
    rows.lead(rest)
    until(lambda: beat.sent() == {"relay_outbox"}, ACT_SECONDS, saw=beat.sent)


@pytest.mark.slow
def test_a_database_url_without_notifications_is_logged_and_beat_looks_often(
    running: Stack, rest: psycopg.Connection, redis: Redis
) -> None:
    # As behind a transaction pooler: it can be connected to, and what is sent elsewhere does not arrive.
    beat = running.start("beat", env={"DATABASE_URL": running.database_url.replace("/postgres?", "/template1?")})
    until(lambda: "beat_listener_gets_nothing" in beat.output, saw=lambda: beat.output)
    assert not sleeps(rest)
    rows.lead(rest)
    until(lambda: Sleeper(rest, redis).sent() == {"relay_outbox"})


@pytest.mark.slow
def test_of_two_beats_one_is_enough(running: Stack, rest: psycopg.Connection, redis: Redis) -> None:
    first = running.start("beat")
    running.start("beat", env={"DATABASE_URL": ""})  # it looks in the other one's place
    time.sleep(1)
    beat = Sleeper(rest, redis)
    rows.lead(rest)
    until(lambda: redis.llen("events") >= 2, saw=beat.sent)
    rest.execute("truncate public.event_outbox")
    running.running[-1].kill()
    beat.fall_asleep()
    rows.schedule(rest, datetime.now(UTC))
    until(lambda: beat.sent() == {"fire_schedules"}, ACT_SECONDS, saw=beat.sent)
    assert first.exit_code() is None


def test_beat_survives_outages_of_redis_and_of_the_database(
    running: Stack, rest: psycopg.Connection, own_redis: OwnRedis
) -> None:
    process = running.start("beat", env={"REDIS_URL": own_redis.url})
    beat = Sleeper(rest, own_redis.client)
    beat.fall_asleep()
    own_redis.kill()
    rows.lead(rest)
    until(lambda: "beat_failed" in process.output)
    own_redis.start()
    until(lambda: beat.sent() == {"relay_outbox"}, saw=lambda: process.output)
    until(lambda: "beat_recovered" in process.output)
    rest.execute("truncate public.event_outbox")
    own_redis.client.delete(*QUEUES)

    rest.execute("alter function public.look_for_due(text[], text, boolean) rename to look_away")
    try:
        rows.lead(rest)
        until(lambda: process.output.count("beat_failed") == 2)
    finally:
        rest.execute("alter function public.look_away(text[], text, boolean) rename to look_for_due")
    until(lambda: beat.sent() == {"relay_outbox"}, saw=lambda: process.output)
    assert process.exit_code() is None
    assert "Traceback" not in process.output


@pytest.mark.slow
def test_at_rest_the_stack_hardly_calls_the_database(
    running: Stack, rest: psycopg.Connection, redis: Redis, counted: Callable[[], dict[str, int]]
) -> None:
    """Calls are counted, not time: before, seven tasks of beat made them every second or two."""
    for role in (*QUEUES, "beat"):
        running.start(role)
    Sleeper(rest, redis).fall_asleep()
    time.sleep(REPORT_SECONDS)  # Postgres counts a session's calls when it rests
    before = counted()
    time.sleep(20)
    after = counted()
    made = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    assert set(made) <= {"look_for_due", "report_worker"}
    assert sum(made.values()) <= 2
