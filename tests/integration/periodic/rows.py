"""Rows that are due, of each kind that beat looks for."""

from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
from psycopg import ClientCursor

from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import a_step, submit
from tests.migrations.rows import insert

IN_AN_HOUR = timedelta(hours=1)
RUN = (
    "insert into public.runs (id, kind, agent_type, caller, user_queue, input)"
    " values (%s, 'agent', 'a', 'x', 'x', '{}')"
)
#: Thousands of rows of each kind, that are done with or due later.
MANY = """
with ids as (
    insert into public.runs (id, kind, agent_type, caller, user_queue, input)
    select gen_random_uuid(), 'agent', 'a', 'x', 'x', '{}' from generate_series(1, 3000) returning id
)
insert into public.run_steps
    (run_id, key, agent_type, user_queue, input, ready, status, output, finished_at, available_at, deadline_at)
select
    id, kind, 'a', 'x', '{}', true, kind, case when kind = 'completed' then '{}'::jsonb end,
    case when kind = 'completed' then now() end, %(later)s, case when kind = 'waiting' then %(later)s end
from ids cross join unnest(array['completed', 'pending', 'waiting']) as k (kind);
insert into public.schedules (caller, kind, target, cron, next_run_at)
select 'x', 'agent', 'a', '* * * * *', %(later)s from generate_series(1, 3000);
insert into public.webhook_deliveries (run_id, url, event, status, finished_at)
select id, 'https://example.com/', 'run.completed', 'delivered', now() from public.runs;
insert into public.event_outbox (type, topic, payload, visible_at)
select 't', 't', '{}', %(later)s from generate_series(1, 3000);
insert into public.stripe_events (id, type, payload, occurred_at, status, next_attempt_at)
select 'evt_' || i, 't', '{}', now(), 'received', %(later)s from generate_series(1, 3000) as i;
"""


def run(db: psycopg.Connection) -> str:
    """Insert a run without steps."""
    run_id = str(uuid4())
    db.execute(RUN, [run_id])
    return run_id


def step(db: psycopg.Connection, **columns: object) -> None:
    """Insert a step of a run of its own."""
    values = {"run_id": run(db), "key": "a", "agent_type": "a", "user_queue": "x", "input": "{}", **columns}
    insert(db, "run_steps", values)


def schedule(db: psycopg.Connection, due: datetime) -> None:
    db.execute(
        "insert into public.schedules (caller, kind, target, cron, next_run_at)"
        " values ('x', 'agent', 'chat_agent', '* * * * *', %s)",
        [due],
    )


def delivery(db: psycopg.Connection, due: datetime, host: str = "example.com") -> None:
    db.execute(
        "insert into public.webhook_deliveries (run_id, url, event, next_attempt_at)"
        " values (%s, %s, 'run.completed', %s)",
        [run(db), f"https://{host}/", due],
    )


def stripe_event(db: psycopg.Connection, due: datetime) -> None:
    db.execute(
        "insert into public.stripe_events (id, type, payload, occurred_at, status, next_attempt_at)"
        " values (%s, 'invoice.paid', '{}', now(), 'received', %s)",
        [f"evt_{uuid4()}", due],
    )


def broadcast(db: psycopg.Connection) -> None:
    db.execute("insert into public.broadcasts (notification) values ('{}')")


def lead(db: psycopg.Connection) -> None:
    db.execute("insert into public.leads (name) values ('Ada')")


def many(db: psycopg.Connection, later: datetime) -> None:
    """Insert thousands of rows of each kind, none of which is due before `later`."""
    with ClientCursor(db) as cursor:  # it sends several statements at once
        cursor.execute(MANY, {"later": later})


def waiting(_db: psycopg.Connection, runs: RunStore) -> object:
    """A run whose step waits for a person."""
    approval = {**a_step(), "key": "ask", "kind": "approval", "agent_type": None}
    run_id = submit(runs, steps=[approval])
    token = runs.claim(run_id, "ask", "worker", uuid4().hex)["token"]
    runs.finish({"run_id": str(run_id), "key": "ask", "token": token, "what": "waiting", "input": {"message": "ok?"}})
    return run_id
