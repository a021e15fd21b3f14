"""What `look_for_due` finds, and what it costs."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.periodic.duties import DUTIES
from pixelbloom.periodic.jobs import JOBS
from pixelbloom.periodic.store import PeriodicTaskStore
from tests.integration.periodic import rows
from tests.integration.periodic.rows import IN_AN_HOUR

Look = Callable[[], dict[str, float]]


@pytest.fixture
def look(gateway: Gateway) -> Look:
    store = PeriodicTaskStore(gateway)
    return lambda: store.look(tuple(JOBS), listener=None, listening=True)


def due_in_an_hour(found: dict[str, float], name: str) -> bool:
    return 3_590 < found[name] <= 3_600


def test_nothing_is_due_at_rest_but_the_infrequent_tasks(rest: psycopg.Connection, look: Look) -> None:
    assert look() == {"run_due_tasks": pytest.approx(86_400)}  # at most a day


@pytest.mark.parametrize("state", ["missing", "due"])
def test_an_infrequent_task_that_is_due_or_never_ran_is_found(rest: psycopg.Connection, look: Look, state: str) -> None:
    if state == "missing":
        rest.execute("delete from public.periodic_tasks where name = 'purge_runs'")
    else:
        rest.execute("update public.periodic_tasks set due_at = now() where name = 'purge_runs'")
    assert look() == {"run_due_tasks": 0}


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "pending", "ready": True, "published_at": "now"},
        {"status": "running", "lease_expires_at": "tomorrow"},
        {"status": "pending", "ready": True},
        {"status": "waiting", "deadline_at": "yesterday"},
    ],
    ids=["published", "leased", "waiting for admission", "past its deadline"],
)
def test_the_sweep_is_due_while_a_step_is_open(
    rest: psycopg.Connection, look: Look, columns: dict[str, object]
) -> None:
    rows.step(rest, **columns)
    assert look()["sweep_runs"] == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "pending"},
        {"status": "running", "kind": "map"},
        {"status": "completed", "output": "{}", "finished_at": "now"},
    ],
    ids=["not ready", "an expanded map", "completed"],
)
def test_the_sweep_is_not_due_for_other_steps(rest: psycopg.Connection, look: Look, columns: dict[str, object]) -> None:
    rows.step(rest, **columns)
    assert "sweep_runs" not in look()


@pytest.mark.parametrize("column", ["available_at", "deadline_at"])
def test_the_sweep_is_due_when_the_first_step_is(rest: psycopg.Connection, look: Look, column: str) -> None:
    for hours in (3, 1, 2):
        state = {"ready": True} if column == "available_at" else {"status": "waiting"}
        rows.step(rest, **state, **{column: datetime.now(UTC) + hours * IN_AN_HOUR})
    assert due_in_an_hour(look(), "sweep_runs")


def test_each_other_task_is_due_with_its_first_row(rest: psycopg.Connection, look: Look) -> None:
    for due in (datetime.now(UTC) + 2 * IN_AN_HOUR, datetime.now(UTC) + IN_AN_HOUR):
        rows.schedule(rest, due)
        rows.delivery(rest, due)
        rows.stripe_event(rest, due)
        rest.execute(
            "insert into public.event_outbox (type, topic, payload, visible_at) values ('t', 't', '{}', %s)", [due]
        )
    found = look()
    for name in ("fire_schedules", "send_due_webhooks", "process_stripe_events", "relay_outbox"):
        assert due_in_an_hour(found, name)
    rows.broadcast(rest)
    assert look()["send_broadcasts"] == 0


def test_rows_that_are_done_with_are_not_due(rest: psycopg.Connection, look: Look) -> None:
    now = datetime.now(UTC)
    rows.schedule(rest, now)
    rows.delivery(rest, now)
    rows.stripe_event(rest, now)
    rows.broadcast(rest)
    assert set(look()) == set(DUTIES) - {"sweep_runs", "relay_outbox"}
    rest.execute("update public.schedules set active = false")
    rest.execute("update public.webhook_deliveries set status = 'delivered', finished_at = now()")
    rest.execute("update public.stripe_events set status = 'processed', processed_at = now()")
    rest.execute("update public.broadcasts set status = 'sent'")
    assert set(look()) == {"run_due_tasks"}


def test_a_delivery_waits_for_its_hosts_circuit_or_its_own_end(rest: psycopg.Connection, look: Look) -> None:
    rows.delivery(rest, datetime.now(UTC))
    rest.execute(
        "insert into public.webhook_hosts (host, open_until) values ('example.com', now() + interval '1 hour')"
    )
    assert due_in_an_hour(look(), "send_due_webhooks")
    rows.delivery(rest, datetime.now(UTC), host="another.example")
    assert look()["send_due_webhooks"] == 0
    rest.execute("delete from public.webhook_deliveries where host = 'another.example'")
    rest.execute("update public.webhook_deliveries set expires_at = now() - interval '1 minute'")
    assert look()["send_due_webhooks"] == 0


def test_many_deliveries_to_an_unreachable_host_do_not_hide_another_one(rest: psycopg.Connection, look: Look) -> None:
    run_id = rows.run(rest)
    rest.execute(
        "insert into public.webhook_deliveries (run_id, url, event, next_attempt_at) select %s, 'https://example.com/',"
        " 'run.completed', now() - interval '1 minute' from generate_series(1, 600)",
        [run_id],
    )
    rest.execute(
        "insert into public.webhook_hosts (host, open_until) values ('example.com', now() + interval '1 hour')"
    )
    rows.delivery(rest, datetime.now(UTC), host="another.example")
    assert look()["send_due_webhooks"] == 0


def test_a_look_reads_a_few_rows_of_however_many(rest: psycopg.Connection) -> None:
    """Nothing of each kind is due: the look reads the first row by an index, and no table."""
    rows.many(rest, datetime.now(UTC) + IN_AN_HOUR)
    rest.execute("analyze")
    read = (
        "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer"
        " from pg_stat_xact_user_tables where schemaname = 'public'"
    )
    with rest.transaction():
        before = rest.execute(read).fetchone()
        found = rest.execute("select public.look_for_due(%s, null, true)", [list(JOBS)]).fetchone()
        after = rest.execute(read).fetchone()
    assert before is not None
    assert after is not None
    assert found is not None
    assert set(found[0]) == {
        *("sweep_runs", "fire_schedules", "process_stripe_events", "relay_outbox", "run_due_tasks")
    }
    assert after[0] - before[0] < 40


def next_look(db: psycopg.Connection) -> str:
    row = db.execute(
        "select case when next_look_at = 'infinity' then 'never' when next_look_at < now() + interval '1 minute'"
        " then 'soon' else 'later' end from public.system_state"
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_look_stores_when_the_next_one_is(rest: psycopg.Connection, gateway: Gateway, look: Look) -> None:
    rest.execute("delete from public.periodic_tasks")
    PeriodicTaskStore(gateway).look([], listener=None, listening=True)
    assert next_look(rest) == "never"
    PeriodicTaskStore(gateway).look([], listener=None, listening=False)
    assert next_look(rest) == "soon"
    rows.schedule(rest, datetime.now(UTC) + IN_AN_HOUR)
    PeriodicTaskStore(gateway).look([], listener=None, listening=True)
    assert next_look(rest) == "later"
    rows.broadcast(rest)
    PeriodicTaskStore(gateway).look([], listener=None, listening=True)
    assert next_look(rest) == "soon"
