"""The upgrade to roll-ups of a database with runs in it, while runs go on."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.core.shipped import MIGRATIONS
from pixelbloom.database import migrations
from pixelbloom.database.bootstrap import bootstrap
from tests.integration.analytics.test_rollups import counted_again, figures
from tests.integration.runs.steps import a_run
from tests.migrations.test_migrate import database
from tests.migrations.test_released import BASELINE
from tests.servers.days import Days
from tests.stack import Stack
from tests.waiting import background, until

RUNS = """
with added as (
    insert into public.runs (id, kind, agent_type, user_id, caller, user_queue, input, created_at)
    select gen_random_uuid(), 'agent', 'chat_agent', md5((n % 3)::text)::uuid, 'x', 'x', '{}',
        now() - n * interval '50 minutes'
    from generate_series(1, 900) as n
    returning id, created_at
),
steps as (
    insert into public.run_steps (run_id, key, agent_type, user_queue, input, output, status, started_at, finished_at)
    select id, 'a', 'chat_agent', 'x', '{}', '{}', 'completed', created_at,
        created_at + make_interval(secs => 60 * random())
    from added
)
insert into public.model_metrics (run_id, agent_type, provider, model, outcome, latency_ms, created_at)
select id, 'chat_agent', 'ollama', 'llama3', 'ok', 1000 * random(), created_at from added
"""


@pytest.fixture
def baseline(stack: Stack, db: psycopg.Connection, tmp_path: Path) -> Iterator[psycopg.Connection]:
    """A database of the baseline, with runs."""
    folder = tmp_path / "baseline"
    folder.mkdir()
    for path in MIGRATIONS.glob("*.sql"):
        if path.name.partition("_")[0] <= BASELINE:
            shutil.copy(path, folder)
    with database(stack, db) as connection:
        bootstrap(connection)
        migrations.migrate(connection, folder)
        connection.execute(RUNS)
        yield connection


def test_figures_are_the_same_before_and_after_the_upgrade(baseline: psycopg.Connection) -> None:
    today = datetime.now(UTC).date()
    of = Days(today - timedelta(days=20), today - timedelta(days=1), "Europe/Vienna", "daily")
    who = baseline.execute("select md5('1')::uuid").fetchone()
    assert who is not None
    before = {user: figures(baseline, user, of) for user in (None, who[0])}
    assert before[None]["agents"]["executions"]["value"] > 500
    migrations.migrate(baseline)
    assert {user: figures(baseline, user, of) for user in (None, who[0])} == before
    while baseline.execute("select public.fill_figures(100)").fetchone() == (True,):
        assert {user: figures(baseline, user, of) for user in (None, who[0])} == before
    assert baseline.execute("select max(since) = '-infinity' from internal.figure_state").fetchone() == (True,)
    assert {user: figures(baseline, user, of) for user in (None, who[0])} == before


def test_runs_that_go_on_during_the_upgrade_are_counted(stack: Stack, baseline: psycopg.Connection) -> None:
    today = datetime.now(UTC).date()
    of = Days(today - timedelta(days=1), today + timedelta(days=1), "UTC", "daily")
    upgraded = Event()
    made = 0

    def write() -> None:
        nonlocal made
        with psycopg.connect(stack.database_url, dbname=baseline.info.dbname, autocommit=True) as writer:
            after = 0
            while after < 20:
                after += upgraded.is_set()
                run = a_run()
                writer.execute("select public.create_runs(%s::jsonb, 1000)", [json.dumps([run])])
                claim = [{"run_id": run["id"], "key": "chat_agent", "claim": uuid4().hex}]
                row = writer.execute(
                    "select public.claim_steps(%s::jsonb, 'worker', 15.0)", [json.dumps(claim)]
                ).fetchone()
                assert row is not None
                item = {**claim[0], "token": row[0][0]["token"], "what": "completed", "output": {"reply": "hi"}}
                writer.execute("select public.finish_steps(%s::jsonb, 1000)", [json.dumps([item])])
                made += 1

    def upgrade() -> None:
        try:
            until(lambda: made >= 5)
            migrations.migrate(baseline)
        finally:
            upgraded.set()

    with background(write, upgrade):
        pass
    for batch in (50, 100_000):
        baseline.execute("select public.fold_figures(%s), public.fill_figures(300)", [batch])
        found = figures(baseline, None, of)
        assert found == counted_again(baseline, None, of)
    assert made >= 25
