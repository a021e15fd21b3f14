"""Updates of runs and steps stay within their page (HOT) where no index needs the changed column."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.runs.steps import a_run, a_step

RUNS, STEPS, RENEWALS = 25, 4, 6
KEYS = [f"step{number}" for number in range(STEPS)]


def updates(db: psycopg.Connection, table: str) -> tuple[int, int]:
    """Return how many updates the table had until now, and how many were HOT."""
    db.execute("select pg_stat_force_next_flush()")
    row = db.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where schemaname = 'public' and relname = %s", [table]
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def call(db: psycopg.Connection, function: str, items: Any, *arguments: object) -> Any:
    places = "".join(", %s" for _ in arguments)
    row = db.execute(f"select public.{function}(%s::jsonb{places})", [json.dumps(items), *arguments]).fetchone()
    assert row is not None
    return row[0]


def execute(db: psycopg.Connection, run_id: str, key: str, renewals: int) -> None:
    """Execute a step as a worker does, for so long that its lease is renewed this often."""
    item: dict[str, Any] = {"run_id": run_id, "key": key}
    (claimed,) = call(db, "claim_steps", [{**item, "claim": uuid4().hex}], "worker", 15.0)
    item["token"] = claimed["token"]
    for _ in range(renewals):
        assert call(db, "renew_leases", [item], 15.0) == [{"held": True, "cancel": False}]
    ending = {**item, "what": "completed", "output": {"reply": "hi" * 50}, "provider": "ollama"}
    assert call(db, "finish_steps", [ending], 1000)["items"][0]["outcome"] == "recorded"


@pytest.fixture
def chains(clean: psycopg.Connection) -> list[str]:
    """Runs of a workflow of four steps, each of which needs the one before it."""
    steps = [
        a_step(key=key, needs=KEYS[place - 1 : place] if place else [], next_key=after)
        for place, (key, after) in enumerate(zip(KEYS, [*KEYS[1:], None], strict=True))
    ]
    clean.execute(
        "insert into public.workflows (workflow_id, version, definition) values ('hot', 1, '{}') on conflict do nothing"
    )
    kind = {"kind": "workflow", "agent_type": None, "workflow_id": "hot", "workflow_version": 1}
    runs = [a_run(**kind, steps=steps, input={"message": "hello" * 20}) for _ in range(RUNS)]
    call(clean, "create_runs", runs, 1000)
    return [run["id"] for run in runs]


def test_most_updates_of_runs_and_steps_are_hot(clean: psycopg.Connection, chains: list[str]) -> None:
    before = {table: updates(clean, table) for table in ("runs", "run_steps")}
    for run_id in chains:
        for key in KEYS:
            execute(clean, run_id, key, RENEWALS)
    share = {}
    for table, (all_before, hot_before) in before.items():
        all_after, hot_after = updates(clean, table)
        share[table] = (hot_after - hot_before) / (all_after - all_before)
    # Of eight updates of a run only those that change its status are not; of a step, those that claim and end it.
    assert share["runs"] > 0.65, share
    assert share["run_steps"] > 0.5, share


def test_renewing_a_lease_touches_no_index(clean: psycopg.Connection, chains: list[str]) -> None:
    items: list[dict[str, Any]] = [{"run_id": run_id, "key": KEYS[0], "claim": uuid4().hex} for run_id in chains]
    for item, claimed in zip(items, call(clean, "claim_steps", items, "worker", 15.0), strict=True):
        item["token"] = claimed["token"]
    before = updates(clean, "run_steps")
    for _ in range(10):
        call(clean, "renew_leases", items, 15.0)
    after = updates(clean, "run_steps")
    assert after[0] - before[0] == 10 * RUNS
    assert after[1] - before[1] > 0.9 * 10 * RUNS


def test_no_index_of_the_hot_tables_needs_a_column_that_changes_without_need(clean: psycopg.Connection) -> None:
    """docs/capacity.md says for each of these why an index needs it."""
    rows = clean.execute(
        """
        select distinct c.relname, a.attname
        from pg_index as i
        inner join pg_class as c on c.oid = i.indrelid
        inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
        where c.oid = any(array['public.runs', 'public.run_steps']::regclass[])
            and (
                a.attnum = any(i.indkey::int2[])
                or pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M')
            )
        """
    ).fetchall()
    constant = {
        "runs": {"id", "caller", "idempotency_key", "user_id", "created_at", "agent_type", "workflow_id",
                 "workflow_version"},
        "run_steps": {"run_id", "key", "user_queue", "priority", "created_at", "position"},
    }  # fmt: skip
    assert {(table, column) for table, column in rows if column not in constant[table]} == {
        ("runs", "status"),
        ("runs", "finished_at"),
        ("run_steps", "status"),
        ("run_steps", "ready"),
        ("run_steps", "available_at"),
        ("run_steps", "published_at"),
        ("run_steps", "deadline_at"),
    }
