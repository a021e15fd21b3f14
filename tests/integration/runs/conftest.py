"""The store of runs, on an empty table."""

from collections.abc import Iterator

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import LEASE_SECONDS


@pytest.fixture
def store(gateway: Gateway) -> RunStore:
    return RunStore(gateway, user_queue_limit=100, lease_seconds=LEASE_SECONDS)


@pytest.fixture
def clean(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    db.execute("truncate public.runs, public.event_outbox cascade")
    db.execute("update public.system_state set next_sweep_at = '-infinity', last_sweep_at = null")
    yield db
    db.execute("truncate public.runs, public.event_outbox cascade")
