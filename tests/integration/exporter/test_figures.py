"""The figures of the whole system: each changes with the rows and messages that it counts, and stays cheap."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis as redis_client

from pixelbloom.container import Container
from pixelbloom.core.queues import QUEUES
from pixelbloom.database.gateway import Gateway
from pixelbloom.exporter.server import collector
from pixelbloom.runs.status import Priority, broker_list
from pixelbloom.runs.store import RunStore
from tests.scrapes import Numbers, read
from tests.stack import Stack

#: Stored runs of the test of the plan, and the rows that a part of the function may read at most.
STORED = 30_000
MOST_ROWS = 1_000


@pytest.fixture(autouse=True)
def _nothing_to_do(db: psycopg.Connection, redis: redis_client.Redis) -> None:
    db.execute("truncate runs, event_outbox, schedules, stripe_events, webhook_hosts cascade")


@pytest.fixture
def parts(stack: Stack) -> Iterator[Container]:
    found = Container(stack.settings)
    yield found
    found.gateway.close()
    found.redis.close()


@pytest.fixture
def submit(gateway: Gateway) -> Callable[..., UUID]:
    """Store a run of a user, of whom one step is published at once."""
    store = RunStore(gateway, user_queue_limit=1, lease_seconds=15)

    def send(user: str = "service", priority: Priority = Priority.INTERACTIVE, **changes: Any) -> UUID:
        body = {"message": "How much is a website?"}
        step = {"key": "chat_agent", "agent_type": "chat_agent", "input": body}
        run = {"id": str(uuid4()), "kind": "agent", "agent_type": "chat_agent", "caller": "service", "user_queue": user}
        created = store.create({**run, "priority": priority.number, "input": body, "steps": [step], **changes})
        return UUID(created["id"])

    return send


def figures(parts: Container) -> Numbers:
    return read(collector(parts).collect())


def test_a_system_at_rest_has_every_series_with_zero(parts: Container) -> None:
    found = figures(parts)

    for status in ("queued", "running"):
        assert found[("pixelbloom_runs", frozenset({("status", status)}))] == 0
    for priority in Priority:
        for name in ("backlog_steps", "backlog_oldest_seconds", "published_steps", "published_oldest_seconds"):
            assert found[(f"pixelbloom_{name}", frozenset({("priority", priority.value)}))] == 0
    for name in ("sweep_age", "outbox_oldest", "webhooks_oldest", "stripe_oldest", "schedules_oldest"):
        assert found[(f"pixelbloom_{name}_seconds", frozenset())] == 0
    for queue in QUEUES:
        assert any(("queue", queue) in labels for name, labels in found if name == "pixelbloom_queue_messages")
    assert found.of("exporter_source_up", source="postgres") == found.of("exporter_source_up", source="redis") == 1
    assert 0 < found.of("database_connections") < found.of("database_connections_max")
    assert found.of("redis_memory_bytes") > 0
    assert found.has("redis_memory_max_bytes")


def test_runs_and_steps_are_counted_where_they_wait(
    parts: Container, submit: Callable[..., UUID], db: psycopg.Connection
) -> None:
    for _ in range(4):
        submit()
    submit("another", Priority.BATCH)
    submit("another", Priority.BATCH)
    submit("third", run_at="2100-01-01T00:00:00Z")
    db.execute("update run_steps set published_at = now() - interval '70 seconds' where published_at is not null")
    db.execute("update run_steps set available_at = now() - interval '90 seconds' where available_at < now()")

    found = figures(parts)

    assert found.of("runs", status="queued") == 7
    assert found.of("backlog_steps", priority="interactive") == 3
    assert found.of("backlog_steps", priority="batch") == 1
    assert 90 <= found.of("backlog_oldest_seconds", priority="interactive") < 150
    assert found.of("published_steps", priority="interactive") == found.of("published_steps", priority="batch") == 1
    assert 70 <= found.of("published_oldest_seconds", priority="batch") < 130
    assert found.of("steps_delayed") == 1
    # Three of the first user, one of the second, and the delayed one.
    assert [found.of("user_backlog_steps", rank=str(rank)) for rank in range(1, 6)] == [3, 1, 1, 0, 0]


def test_a_step_that_a_person_waits_for_is_seen_behind_many_older_ones(
    parts: Container, submit: Callable[..., UUID], db: psycopg.Connection
) -> None:
    run_id = submit("somebody", Priority.BATCH)
    db.execute("set session_replication_role = replica")
    db.execute(
        "insert into run_steps (run_id, key, agent_type, user_queue, priority, status, ready, input, available_at)"
        " select %s, 'k' || n, 'chat_agent', 'somebody', -1, 'pending', true, '{}', now() - interval '1 hour'"
        " from generate_series(1, 10100) as n",
        [run_id],
    )
    db.execute("set session_replication_role = origin")
    for _ in range(2):  # the first is published
        submit("else")
    db.execute("update run_steps set available_at = now() - interval '90 seconds' where user_queue = 'else'")

    found = figures(parts)

    assert found.of("backlog_steps", priority="batch") == 10_000
    assert 3600 <= found.of("backlog_oldest_seconds", priority="batch") < 3660
    assert found.of("backlog_steps", priority="interactive") == 1
    assert 90 <= found.of("backlog_oldest_seconds", priority="interactive") < 150


def test_leases_and_the_sweep_have_ages(
    parts: Container, submit: Callable[..., UUID], gateway: Gateway, db: psycopg.Connection
) -> None:
    run_id = submit()
    db.execute("update system_state set last_sweep_at = now() - interval '40 seconds'")
    assert 40 <= figures(parts).of("sweep_age_seconds") < 100

    RunStore(gateway, user_queue_limit=1, lease_seconds=15).claim(run_id, "chat_agent", "w#1", uuid4().hex)
    found = figures(parts)
    assert (found.of("steps_running"), found.of("leases_overdue")) == (1, 0)
    assert found.of("runs", status="running") == 1
    assert 40 <= found.of("sweep_age_seconds") < 100

    db.execute("update run_steps set lease_expires_at = now() - interval '1 second'")
    assert figures(parts).of("leases_overdue") == 1

    db.execute("truncate runs cascade")
    assert figures(parts).of("sweep_age_seconds") == 0


def test_ended_runs_count_for_five_minutes(
    parts: Container, submit: Callable[..., UUID], db: psycopg.Connection
) -> None:
    for ago in ("1 minute", "4 minutes", "6 minutes"):
        run_id = submit(str(uuid4()))
        db.execute(
            "update runs set status = 'failed', error = 'x', finished_at = now() - %s::interval where id = %s",
            [ago, run_id],
        )

    found = figures(parts)

    assert found.of("runs_ended_recently", status="failed") == 2
    assert found.has("runs_ended_recently", status="completed")


def test_late_work_outside_of_runs_has_an_age(
    parts: Container, submit: Callable[..., UUID], db: psycopg.Connection
) -> None:
    run_id = submit()
    db.execute("truncate event_outbox, stripe_events, webhook_hosts")
    db.execute(
        "insert into event_outbox (type, topic, payload, visible_at) values ('t', 't', '{}', now() - interval '33 s')"
    )
    for host, ago in (("open.example", "300 s"), ("closed.example", "900 s")):
        db.execute(
            "insert into webhook_deliveries (run_id, url, event, next_attempt_at) "
            "values (%s, %s, 'run.completed', now() - %s::interval)",
            [run_id, f"https://{host}/hook", ago],
        )
    db.execute("insert into webhook_hosts (host, open_until) values ('closed.example', now() + interval '1 minute')")
    db.execute(
        "insert into stripe_events (id, type, payload, status, occurred_at, next_attempt_at) values "
        "('evt_1', 't', '{}', 'received', now(), now() - interval '77 s'), "
        "('evt_2', 't', '{}', 'failed', now(), now()), ('evt_3', 't', '{}', 'processed', now(), now())"
    )
    db.execute(
        "insert into schedules (caller, kind, target, cron, next_run_at) "
        "values ('service', 'agent', 'chat_agent', '* * * * *', now() - interval '55 s')"
    )
    db.execute("insert into periodic_tasks (name, due_at) values ('slow', now() - interval '99 s')")

    found = figures(parts)
    db.execute("delete from periodic_tasks where name = 'slow'")
    db.execute("truncate stripe_events, webhook_hosts")

    assert found.of("outbox_events") == 1
    assert 33 <= found.of("outbox_oldest_seconds") < 90
    assert found.of("webhooks_due") == 1  # the other one's host is skipped
    assert 300 <= found.of("webhooks_oldest_seconds") < 360
    assert found.of("webhook_hosts_unreachable") == 1
    assert found.of("stripe_events", status="received") == found.of("stripe_events", status="failed") == 1
    assert 77 <= found.of("stripe_oldest_seconds") < 140
    assert found.of("schedules_overdue") == 1
    assert 55 <= found.of("schedules_oldest_seconds") < 120
    assert 99 <= found.of("periodic_task_overdue_seconds", task="slow") < 160


def test_messages_count_by_queue_and_priority(parts: Container, redis: redis_client.Redis) -> None:
    redis.lpush(broker_list(Priority.BATCH), "1", "2")
    redis.lpush("events", "1")

    found = figures(parts)

    assert found.of("queue_messages", queue="agents", priority="batch") == 2
    assert found.of("queue_messages", queue="agents", priority="interactive") == 0
    assert found.of("queue_messages", queue="events", priority="none") == 1


def test_a_policy_that_drops_keys_matters_with_a_limit_only(parts: Container, redis: redis_client.Redis) -> None:
    def evicts() -> float:
        return figures(parts).of("redis_evicts")

    try:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        assert evicts() == 0
        redis.config_set("maxmemory", "500mb")
        assert evicts() == 1
        redis.config_set("maxmemory-policy", "noeviction")
        assert evicts() == 0
    finally:
        redis.config_set("maxmemory", "0")
        redis.config_set("maxmemory-policy", "noeviction")


def test_a_source_that_is_away_takes_only_its_own_figures_along(stack: Stack) -> None:
    away = stack.settings_with(database_url="postgresql://nobody@127.0.0.1:9/nothing")
    parts = Container(away)

    found = figures(parts)

    assert found.of("exporter_source_up", source="postgres") == 0
    assert found.of("exporter_source_up", source="redis") == 1
    assert not found.has("sweep_age_seconds")
    assert found.of("redis_memory_bytes") > 0
    parts.redis.close()


def test_scrapes_in_a_row_read_the_sources_once(parts: Container, submit: Callable[..., UUID]) -> None:
    source = collector(parts)
    assert read(source.collect()).of("runs", status="queued") == 0
    submit()
    assert read(source.collect()).of("runs", status="queued") == 0
    assert figures(parts).of("runs", status="queued") == 1


def test_the_figures_cost_the_same_with_many_stored_runs(submit: Callable[..., UUID], db: psycopg.Connection) -> None:
    """The body of the function is explained with the function's own settings: no node may read the stored rows."""
    for _ in range(3):
        submit()
    db.execute("set session_replication_role = replica")
    db.execute(
        "with added as (insert into runs (id, kind, agent_type, caller, user_queue, status, progress, input, result,"
        " created_at, finished_at) select gen_random_uuid(), 'agent', 'chat_agent', 'user', 'seed', 'completed', 1,"
        " '{}', '{}', now() - interval '1 day', now() - interval '1 day' from generate_series(1, %(stored)s)"
        " returning id) insert into run_steps (run_id, key, agent_type, user_queue, status, ready, input, output,"
        " finished_at) select id, 'chat_agent', 'chat_agent', 'seed', 'completed', true, '{}', '{}', now() from added",
        {"stored": STORED},
    )
    db.execute(
        "insert into webhook_deliveries (run_id, url, event, status, finished_at)"
        " select id, 'https://example.com/', 'run.completed', 'delivered', now() from runs where status = 'completed'"
    )
    db.execute(
        "insert into stripe_events (id, type, payload, status, occurred_at)"
        " select 'evt_' || n, 't', '{}', 'processed', now() from generate_series(1, %(stored)s) as n",
        {"stored": STORED},
    )
    db.execute("set session_replication_role = origin")
    db.execute("vacuum analyze runs, run_steps, webhook_deliveries, stripe_events")
    row = db.execute(
        "select prosrc, proconfig from pg_proc where oid = 'public.operational_figures()'::regprocedure"
    ).fetchone()
    assert row is not None
    body, configured = row
    with db.transaction(force_rollback=True):
        for setting in configured:
            name, _, value = setting.partition("=")
            if name != "search_path":  # the names in the body have their schema
                db.execute("select set_config(%s, %s, true)", [name, value])
        plan = db.execute(f"explain (analyze, format json) {body}").fetchone()
    db.execute("truncate stripe_events")
    assert plan is not None
    nodes = list(_nodes(plan[0][0]["Plan"]))

    assert len(nodes) > 30
    read_whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
    assert set(read_whole) <= {"agent_workers", "webhook_hosts", "periodic_tasks", "system_state", "pg_database"}
    for node in nodes:
        rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert rows < MOST_ROWS, json.dumps(node)[:2000]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
