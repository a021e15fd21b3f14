"""A database in which nothing is due, and the store of its runs."""

from collections.abc import Iterator

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.periodic.jobs import JOBS
from pixelbloom.runs.store import RunStore

EMPTY = (
    "truncate public.runs, public.event_outbox, public.schedules, public.broadcasts, public.webhook_deliveries,"
    " public.webhook_hosts, public.stripe_events, public.leads, public.periodic_tasks cascade"
)


@pytest.fixture
def rest(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    db.execute(EMPTY)
    db.execute(
        "insert into public.periodic_tasks (name, due_at) select unnest(%s::text[]), now() + interval '30 days'",
        [list(JOBS)],
    )
    # No beat has looked yet.
    db.execute(
        "update public.system_state set next_sweep_at = '-infinity', last_sweep_at = null, next_look_at = '-infinity'"
    )
    yield db
    db.execute(EMPTY)


@pytest.fixture
def runs(gateway: Gateway) -> RunStore:
    return RunStore(gateway, user_queue_limit=100, lease_seconds=15.0)
