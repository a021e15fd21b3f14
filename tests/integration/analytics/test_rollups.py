"""The roll-ups of the figures of agents and models: equal to the rows at any time, and what purges leave of them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from pixelbloom.analytics.rollups import FigureStore
from pixelbloom.database.gateway import Gateway
from pixelbloom.periodic.retention import RetentionStore
from pixelbloom.runs.store import RunStore
from tests.integration.analytics.figures import GENERATED, asked, filled
from tests.integration.runs.steps import LEASE_SECONDS, claim, ending, submit
from tests.servers.agency import PEOPLE, Agency, works
from tests.servers.days import Days, days
from tests.stack import Stack

Case = tuple[Days, Agency, UUID | None]
WORKS = days().flatmap(lambda of: st.tuples(st.just(of), works(of), st.sampled_from(PEOPLE)))
#: The row of a change, by its number.
ROWS = {
    ":one_step": "ctid = (select ctid from public.run_steps order by run_id, key limit 1 offset %(row)s)",
    ":one_run": "id = (select id from public.runs order by id limit 1 offset %(row)s)",
    ":one_call": "id = (select id from public.model_metrics order by id limit 1 offset %(row)s)",
}
#: What may happen to counted rows, and to the roll-ups meanwhile.
CHANGES = {
    "fold": "select public.fold_figures(100000)",
    "fold some": "select public.fold_figures(1 + %(row)s)",
    "reset": "select public.reset_figures()",
    "fill some": "select public.fill_figures(1 + %(row)s)",
    "fill": "select public.fill_figures(100000), public.fill_figures(100000)",
    "complete": "update public.run_steps set status = 'completed', output = '{}', provider = 'fallback',"
    " prompt_tokens = %(number)s, started_at = coalesce(started_at, now()),"
    " finished_at = coalesce(started_at, now()) + make_interval(secs => %(number)s / 1000.0)"
    " where status <> 'completed' and :one_step",
    "fail": "update public.run_steps set status = 'failed', finished_at = now() where :one_step",
    "retry": "update public.run_steps set status = 'pending', finished_at = null, output = null"
    " where finished_at is not null and :one_step",
    "take longer": "update public.run_steps set finished_at = finished_at + make_interval(secs => %(number)s / 1000.0)"
    " where finished_at is not null and :one_step",
    "use tokens": "update public.run_steps set completion_tokens = %(number)s where :one_step",
    "become a map": "update public.run_steps set kind = 'map' where :one_step",
    "become another agent": "update public.run_steps set agent_type = 'other_agent' where :one_step",
    "delete a step": "delete from public.run_steps where :one_step",
    "delete a run": "delete from public.runs where :one_run",
    "move a run": "update public.runs set created_at = created_at + make_interval(secs => %(number)s) where :one_run",
    "give a run away": "update public.runs set user_id = null where :one_run",
    "change a call": "update public.model_metrics set latency_ms = %(number)s where :one_call",
    "delete a call": "delete from public.model_metrics where :one_call",
}
HISTORY = st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 5), st.integers(0, 90_000)), max_size=12)


@pytest.fixture
def empty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Hide the rows of other tests; they are restored afterwards."""
    with db.transaction(force_rollback=True):
        db.execute("truncate public.runs, public.model_metrics, public.agent_logs cascade")
        yield db


@pytest.fixture
def clean(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Empty tables, in which rows are committed."""
    db.execute("truncate public.runs, public.model_metrics, public.event_outbox cascade")
    yield db
    db.execute("truncate public.runs, public.model_metrics, public.event_outbox cascade")


def figures(db: psycopg.Connection, who: UUID | None, of: Days) -> dict[str, Any]:
    """Everything that is read from the roll-ups."""
    return {
        "agents": asked(db, "agent_summary", who, of.start, of.end, of.zone),
        "trends": asked(db, "agent_trends", who, of.start, of.end, of.aggregation, of.zone, None),
        "one agent": asked(db, "agent_trends", who, of.start, of.end, of.aggregation, of.zone, "chat_agent"),
        "models": asked(db, "model_summary", who, of.start, of.end, of.aggregation, of.zone),
    }


def counted_again(db: psycopg.Connection, who: UUID | None, of: Days) -> dict[str, Any]:
    """The same, counted from the rows without any roll-up."""
    with db.transaction(force_rollback=True):
        db.execute("select public.reset_figures()")
        return figures(db, who, of)


def number_of(db: psycopg.Connection, table: str) -> int:
    row = db.execute(sql.SQL("select count(*) from internal.{}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


@GENERATED
@given(case=WORKS, history=HISTORY)
def test_figures_equal_the_rows_whatever_happens_to_them(
    empty: psycopg.Connection, case: Case, history: list[tuple[str, int, int]]
) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        for change, row, number in history:
            statement = CHANGES[change]
            for name, condition in ROWS.items():
                statement = statement.replace(name, condition)
            db.execute(statement, {"row": row, "number": number})
        assert figures(db, who, of) == counted_again(db, who, of)


@GENERATED
@given(case=WORKS)
def test_figures_are_the_same_before_and_after_folding(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        before = figures(db, who, of)
        changes = number_of(db, "figure_changes")
        folded = db.execute("select public.fold_figures(100000)").fetchone()
        assert folded == (changes,)
        assert number_of(db, "figure_changes") == 0
        assert figures(db, who, of) == before


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("who", [None, UUID(int=1)])
def test_the_percentile_over_many_days_is_the_exact_one(empty: psycopg.Connection, zone: str, who: UUID | None) -> None:
    empty.execute(
        """
        with added as (
            insert into public.runs (id, kind, agent_type, user_id, caller, user_queue, input, created_at)
            select gen_random_uuid(), 'agent', 'a', lpad(to_hex(n % 2), 32, '0')::uuid, 'x', 'x', '{}',
                '2026-01-01'::timestamptz + n * interval '7 minutes'
            from generate_series(1, 4000) as n
            returning id, created_at
        )
        insert into public.run_steps
            (run_id, key, agent_type, user_queue, input, output, status, started_at, finished_at)
        select id, 'a', 'a', 'x', '{}', '{}', 'completed', created_at,
            created_at + make_interval(secs => round((10 ^ (4 * random()))::numeric, 3) / 100.0)
        from added
        """
    )
    first, last = date(2026, 1, 3), date(2026, 1, 18)
    of = Days(first, last, zone, "daily")
    exact = empty.execute(
        """
        select percentile_disc(0.95) within group (
            order by round(1000 * extract(epoch from s.finished_at - s.started_at))
        )
        from public.runs as r inner join public.run_steps as s on s.run_id = r.id
        where r.created_at >= (%(first)s::timestamp at time zone %(zone)s)
            and r.created_at < ((%(last)s + 1)::timestamp at time zone %(zone)s)
            and (%(who)s::uuid is null or r.user_id = %(who)s)
        """,
        {"first": first, "last": last, "zone": zone, "who": who},
    ).fetchone()
    assert exact is not None
    found = [figures(empty, who, of)["agents"]["by_agent"][0]["p95_duration_ms"]]
    for batch in (1500, 100_000):
        empty.execute("select public.fold_figures(%s)", [batch])
        found.append(figures(empty, who, of)["agents"]["by_agent"][0]["p95_duration_ms"])
    assert found == [exact[0]] * 3


@GENERATED
@given(case=WORKS)
def test_figures_of_purged_rows_stay(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        db.execute("update public.runs set status = 'failed', error = 'x', finished_at = created_at")
        db.execute("select public.fold_figures(3)")
        before = figures(db, who, of)
        db.execute("select public.purge_runs('infinity', 1000), public.purge_rows('model_metrics', 'infinity', 1000)")
        left = "select (select count(*) from public.runs), (select count(*) from public.model_metrics)"
        assert db.execute(left).fetchone() == (0, 0)
        assert figures(db, who, of) == before
        db.execute("select public.fold_figures(1000)")
        assert figures(db, who, of) == before


def test_rows_are_purged_only_once_they_are_in_the_roll_ups(empty: psycopg.Connection) -> None:
    empty.execute(
        "insert into public.runs (id, kind, agent_type, caller, user_queue, input, status, error, finished_at)"
        " values (gen_random_uuid(), 'agent', 'a', 'x', 'x', '{}', 'failed', 'x', now())"
    )
    empty.execute(
        "insert into public.model_metrics (agent_type, provider, outcome, latency_ms) values ('a', 'ollama', 'ok', 1)"
    )
    empty.execute("select public.reset_figures()")
    purge = "select public.purge_runs('infinity', 9), public.purge_rows('model_metrics', 'infinity', 9)"
    assert empty.execute(purge).fetchone() == (0, 0)
    assert empty.execute("select public.fill_figures(9), public.fill_figures(9)").fetchone() == (True, False)
    assert empty.execute(purge).fetchone() == (1, 1)


def test_a_change_that_is_not_committed_is_not_lost_to_a_fold(
    stack: Stack, gateway: Gateway, clean: psycopg.Connection
) -> None:
    today = datetime.now(UTC).date()
    of = Days(today - timedelta(days=1), today + timedelta(days=1), "UTC", "daily")
    run = RunStore(gateway, user_queue_limit=100, lease_seconds=LEASE_SECONDS)
    store = FigureStore(gateway)
    submit(run)
    with closing(psycopg.connect(stack.database_url)) as other:
        other.execute(
            "insert into public.runs (id, kind, agent_type, caller, user_queue, input)"
            " values (%(id)s, 'agent', 'a', 'x', 'x', '{}')",
            {"id": (run_id := uuid4())},
        )
        other.execute(
            "insert into public.run_steps (run_id, key, agent_type, user_queue, input)"
            " values (%s, 'a', 'a', 'x', '{}')",
            [run_id],
        )
        assert store.fold(100) == 1
        other.commit()
    assert figures(clean, None, of) == counted_again(clean, None, of)
    assert store.fold(100) == 1
    assert figures(clean, None, of) == counted_again(clean, None, of)
    assert figures(clean, None, of)["agents"]["executions"]["value"] == 2


def test_steps_that_end_wait_for_no_fold_and_two_folds_do_not_count_twice(
    stack: Stack, gateway: Gateway, clean: psycopg.Connection
) -> None:
    today = datetime.now(UTC).date()
    of = Days(today, today, "UTC", "daily")
    run, store = RunStore(gateway, user_queue_limit=100, lease_seconds=LEASE_SECONDS), FigureStore(gateway)
    ids = [submit(run) for _ in range(3)]
    with closing(psycopg.connect(stack.database_url)) as folding:
        assert folding.execute("select public.fold_figures(2)").fetchone() == (2,)
        assert store.fold(100) == 0
        for run_id in ids:
            run.finish(ending(run_id, claim(run, run_id)["token"]))
        folding.commit()
    assert store.fold(100) == 4
    assert figures(clean, None, of) == counted_again(clean, None, of)


def test_the_roll_ups_are_filled_from_the_newest_rows_in_bounded_batches(
    gateway: Gateway, clean: psycopg.Connection
) -> None:
    store, today = FigureStore(gateway), datetime.now(UTC).date()
    of = Days(today - timedelta(days=30), today, "UTC", "daily")
    clean.execute("set session_replication_role = replica")
    clean.execute(
        "insert into public.model_metrics (agent_type, provider, outcome, latency_ms, created_at)"
        " select 'a', 'ollama', 'ok', n, now() - n * interval '1 hour' from generate_series(1, 250) as n"
    )
    clean.execute("set session_replication_role = default")
    clean.execute("select public.reset_figures()")
    wanted = figures(clean, None, of)
    assert wanted["models"]["calls"]["value"] == 250
    batches = 0
    while store.fill(100):
        batches += 1
        assert figures(clean, None, of) == wanted
        assert number_of(clean, "figure_cells") <= 100 * batches
    assert batches >= 2
    assert figures(clean, None, of) == wanted
    assert clean.execute("select max(since) = '-infinity' from internal.figure_state").fetchone() == (True,)


def test_the_backend_reads_and_purges_with_its_own_role(gateway: Gateway, clean: psycopg.Connection) -> None:
    assert FigureStore(gateway).fold(10) == 0
    assert FigureStore(gateway).fill(10) is False
    assert RetentionStore(gateway).purge("model_metrics", datetime.now(UTC), 10) == 0
