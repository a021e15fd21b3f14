"""Calls over connections to Postgres: the same functions, roles and errors as through PostgREST."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from pixelbloom.database import direct
from pixelbloom.database.direct import FUNCTIONS, MAX_CONNECTIONS, DirectCalls
from pixelbloom.database.gateway import Gateway, RejectedData
from pixelbloom.errors import Unavailable
from tests.integration.runs.steps import a_run, a_step
from tests.stack import Stack

RENEWAL = {"p_items": [], "p_lease_seconds": 15}
OPEN = "select pid from pg_stat_activity where application_name = 'pixelbloom'"


@pytest.fixture
def calls(stack: Stack) -> Iterator[DirectCalls]:
    calls = DirectCalls(stack.database_url)
    yield calls
    calls.close()


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Gateway]:
    gateway = Gateway(stack.settings_with(supabase_rest_url="http://127.0.0.1:9"))
    yield gateway
    gateway.close()


def test_the_functions_are_those_of_the_database(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select p.proname, p.proargnames, array(select t::regtype::text from unnest(p.proargtypes) as t),"
        " p.prorettype::regtype::text, has_function_privilege('service_role', p.oid, 'execute')"
        " from pg_proc as p where p.pronamespace = 'public'::regnamespace and p.proname = any(%s)",
        [list(FUNCTIONS)],
    ).fetchall()
    known = {name: dict(zip(names or (), types, strict=True)) for name, names, types, _, _ in rows}
    assert known == {name: dict(parameters) for name, parameters in FUNCTIONS.items()}
    assert {(returns, granted) for *_, returns, granted in rows} == {("jsonb", True)}


def test_calls_have_the_rights_of_the_service_role_only(calls: DirectCalls) -> None:
    calls.call("renew_leases", RENEWAL)
    connection = calls._idle_connection()
    assert connection is not None
    assert connection.execute("select current_user").fetchone() == ("service_role",)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from supabase_migrations.schema_migrations")
    connection.close()


def test_a_connection_is_used_again_and_few_are_open(calls: DirectCalls, db: psycopg.Connection) -> None:
    before = set(db.execute(OPEN).fetchall())
    for _ in range(5):
        calls.call("renew_leases", RENEWAL)
    assert len(set(db.execute(OPEN).fetchall()) - before) == 1
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(lambda _: calls.call("renew_leases", RENEWAL), range(200))) == [[]] * 200
    assert len(set(db.execute(OPEN).fetchall()) - before) <= MAX_CONNECTIONS


def test_connections_that_the_server_closed_are_replaced(calls: DirectCalls, db: psycopg.Connection) -> None:
    before = set(db.execute(OPEN).fetchall())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: calls.call("renew_leases", RENEWAL), range(64)))
    for (pid,) in set(db.execute(OPEN).fetchall()) - before:
        db.execute("select pg_terminate_backend(%s, 5000)", [pid])
    for _ in range(2 * MAX_CONNECTIONS):
        assert calls.call("renew_leases", RENEWAL) == []


def test_a_call_that_is_not_answered_ends_and_its_connection_is_not_used_again(
    gateway: Gateway, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run()
    gateway.rpc("create_runs", {"p_runs": [run], "p_user_queue_limit": 1, "p_published": []})
    claim = {
        "p_items": [{"run_id": run["id"], "key": "chat_agent", "claim": "c"}],
        "p_worker": "w",
        "p_lease_seconds": 15,
        "p_published": [],
    }
    with psycopg.connect(stack.database_url) as other:
        other.execute("select 1 from public.runs where id = %s for update", [run["id"]])
        monkeypatch.setattr(direct, "CALL_SECONDS", 0.3)
        with pytest.raises(Unavailable):
            gateway.rpc("claim_steps", claim)
        monkeypatch.undo()
    assert [item["outcome"] for item in gateway.rpc("claim_steps", {**claim, "p_worker": "other"})] != []


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"], ids=["NUL", "half a surrogate pair"])
def test_data_that_postgres_rejects_is_rejected(gateway: Gateway, text: str) -> None:
    run = a_run(input={"message": text})
    with pytest.raises(RejectedData):
        gateway.rpc("create_runs", {"p_runs": [run], "p_user_queue_limit": 1, "p_published": []})


def test_numbers_and_text_arrive_as_they_were_sent(gateway: Gateway) -> None:
    input = {"message": 'é 😀 " \\ \n', "big": 2**70, "small": 1e-9, "none": None, "list": [], "nested": {"a": [{}]}}
    run = a_run(input=input, steps=[a_step(input=input)])
    gateway.rpc("create_runs", {"p_runs": [run], "p_user_queue_limit": 9, "p_published": []})
    claim = {"run_id": run["id"], "key": "chat_agent", "claim": "c"}
    [claimed] = gateway.rpc(
        "claim_steps", {"p_items": [claim], "p_worker": "w", "p_lease_seconds": 15, "p_published": []}
    )
    assert claimed["input"] == input


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:9/postgres", "postgresql:///nothing?host=/nowhere", "x"])
def test_an_unreachable_database_is_unavailable(stack: Stack, url: str) -> None:
    gateway = Gateway(stack.settings_with(database_url=url))
    with pytest.raises(Unavailable):
        gateway.rpc("renew_leases", RENEWAL)


def test_with_a_transaction_pooler_calls_go_through_postgrest(stack: Stack) -> None:
    gateway = Gateway(stack.settings_with(database_url="postgresql://nobody@127.0.0.1:6543/postgres"))
    assert gateway.rpc("renew_leases", RENEWAL) == []
    gateway.close()
