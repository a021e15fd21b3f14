"""Two stacks' worth of beats, sweepers, relays and senders at once do nothing twice."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.http import Api
from tests.integration.periodic import rows
from tests.rows import one
from tests.servers.receiver import Receiver
from tests.stack import Stack, stop_all
from tests.waiting import until

RUNS = 30


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    env = {"WEBHOOK_ALLOW_PRIVATE": "true"}
    roles = [role for role in ("agents", "events", "maintenance", "webhooks") for _ in range(2)]
    started = [stack.start(role, env=env) for role in roles]
    # Each beat has its own schedule file, as on two machines.
    for name in ("a", "b"):
        home = stack.home.root / name
        home.mkdir(exist_ok=True)
        started.append(stack.start("beat", env={**env, "PIXELBLOOM_HOME": str(home)}))
    started.append(stack.start("web", env=env))
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def several_sweeps(db: psycopg.Connection) -> None:
    """Wait until the sweep that both beats ask for has ended six times. It is due while a step is leased."""
    rows.step(db, status="running", lease_expires_at="tomorrow")
    finished = "select last_sweep_at from public.system_state"
    seen: set[Any] = set()
    until(lambda: seen.add(one(db, finished)) or len(seen) > 6)
    db.execute("delete from public.runs where caller = 'x'")


def test_two_of_every_process_do_nothing_twice(
    web: Api, stack: Stack, db: psycopg.Connection, receiver: Receiver
) -> None:
    user = web.as_user()
    schedule = user.request(
        "POST",
        "/api/agents/schedules",
        json={"agent_type": "chat_agent", "input": {"message": "Hello"}, "cron": "* * * * *"},
    ).json()
    began = time.time()
    # Three times were missed: one run catches up.
    missed = datetime.now(UTC) - timedelta(minutes=3)
    db.execute("update public.schedules set next_run_at = %s where id = %s", [missed, schedule["schedule_id"]])
    body = {"agent_type": "chat_agent", "input": {"message": "Hello"}, "webhook_url": receiver.url}
    ids = [user.invoke(body).json()["request_id"] for _ in range(RUNS)]
    intake = {"workflow_id": "lead_intake", "inputs": {"message": f"We need a website {uuid4()}"}, "async": True}
    ids += [
        user.request("POST", "/api/agents/workflows/execute", json=intake).json()["workflow_run_id"] for _ in range(10)
    ]
    open_runs = "select count(*) from public.runs where id = any(%s) and finished_at is null"
    until(lambda: one(db, open_runs, ids) == 0)
    until(lambda: len(receiver.received) >= RUNS)
    fired = "select count(*) from public.runs where metadata ->> 'schedule_id' = %s"
    until(lambda: one(db, fired, schedule["schedule_id"]) >= 1)
    # What could come twice would come before what is asked for last.
    several_sweeps(db)
    last = user.invoke(body).json()["request_id"]
    until(lambda: one(db, open_runs, [last]) == 0)
    until(lambda: len(receiver.received) >= RUNS + 1)

    steps = db.execute(
        "select status, attempt, count(*) from public.run_steps where run_id = any(%s) group by 1, 2", [ids]
    ).fetchall()
    assert steps == [("completed", 1, RUNS + 30)]
    # A message that waited for long on a busy machine may be published again; no step is done again.
    done = "select count(*) from public.agent_logs where event = 'step_completed' and run_id = any(%s)"
    assert one(db, done, ids) == RUNS + 30
    assert len(receiver.received) == RUNS + 1
    assert len({sent.headers["webhook-id"] for sent in receiver.received}) == RUNS + 1
    # Minutes may have passed meanwhile; each minute gives one run.
    minutes = int(time.time() // 60 - began // 60)
    runs = db.execute(
        "select idempotency_key from public.runs where metadata ->> 'schedule_id' = %s", [schedule["schedule_id"]]
    ).fetchall()
    assert 1 <= len(runs) <= 1 + minutes
    assert len(set(runs)) == len(runs)
    user.request("DELETE", f"/api/agents/schedules/{schedule['schedule_id']}")
