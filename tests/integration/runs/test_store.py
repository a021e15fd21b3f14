"""The transitions of a run, over connections to Postgres and through PostgREST, as the tiers call them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway, RejectedData
from pixelbloom.database.group_commit import GroupCommit
from pixelbloom.errors import InvalidInput, NotFound, Unavailable
from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import LEASE_SECONDS, a_run, a_step, claim, ending, expire, submit, sweep
from tests.stack import Stack


@pytest.fixture(params=["Postgres", "PostgREST"])
def gateway(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Gateway]:
    opened = Gateway(stack.settings if request.param == "Postgres" else stack.settings_with(database_url=None))
    yield opened
    opened.close()


def test_a_submitted_run_is_a_row_with_one_step_and_is_published(store: RunStore, clean: psycopg.Connection) -> None:
    response = store.create(a_run())
    assert response["created"]
    assert [(p["run_id"], p["key"]) for p in response["publish"]] == [(response["id"], "chat_agent")]
    row = store.get(UUID(response["id"]))
    assert (row["status"], row["progress"]) == ("queued", 0)
    assert [step["status"] for step in row["run_steps"]] == ["pending"]
    assert clean.execute("select count(*) from public.event_outbox").fetchone() == (1,)


def test_the_current_state_is_that_of_the_last_update(store: RunStore, clean: psycopg.Connection) -> None:
    clean.execute(
        "insert into public.workflows (workflow_id, version, definition) values ('state', 1, '{}')"
        " on conflict do nothing"
    )
    workflow = {"kind": "workflow", "agent_type": None, "workflow_id": "state", "workflow_version": 1}
    steps = [
        a_step(next_key="ask"),
        a_step(key="ask", kind="approval", agent_type=None, needs=["chat_agent"], position=1),
    ]
    run_id = UUID(store.create(a_run(**workflow, steps=steps))["id"])
    store.finish(ending(run_id, claim(store, run_id)["token"]))
    token = store.claim(run_id, "ask", "worker", "w")["token"]
    question = {"message": "Go on?", "approvers": "owner"}
    update = store.finish({"run_id": str(run_id), "key": "ask", "token": token, "what": "waiting", "input": question})[
        "update"
    ]

    assert update.pop("outbox_id")
    assert [step["status"] for step in update["steps"]] == ["completed", "waiting"]
    assert store.read_update(run_id) == update


def test_a_run_that_does_not_exist_has_no_state(store: RunStore) -> None:
    assert store.read_update(uuid4()) is None


def test_a_result_too_large_for_an_event_is_left_out_of_the_state(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    store.finish(ending(run_id, claim(store, run_id)["token"]))
    assert (store.read_update(run_id) or {})["result"] == {"reply": "hi"}
    clean.execute("update public.runs set result = jsonb_build_object('reply', repeat('x', 1100000))")
    assert (store.read_update(run_id) or {})["result"] is None


def test_the_same_insert_again_changes_nothing(store: RunStore, clean: psycopg.Connection) -> None:
    run = a_run()
    assert store.create(run)["created"]
    again = store.create(run)
    assert not again["created"]
    assert again["publish"] == []
    assert clean.execute("select count(*) from public.event_outbox").fetchone() == (1,)


def test_one_idempotency_key_gives_one_run_and_conflicts_with_another_body(
    store: RunStore, clean: psycopg.Connection
) -> None:
    first = store.create(a_run(idempotency_key="k", request_hash="a"))
    same = store.create(a_run(idempotency_key="k", request_hash="a"))
    other = store.create(a_run(idempotency_key="k", request_hash="b"))
    elsewhere = store.create(a_run(idempotency_key="k", request_hash="b", caller="user:x"))
    assert (same["id"], same["created"], same["conflict"]) == (first["id"], False, False)
    assert (other["id"], other["conflict"]) == (first["id"], True)
    assert elsewhere["created"]


def test_one_key_sent_by_many_at_once_gives_one_run(store: RunStore, clean: psycopg.Connection) -> None:
    with ThreadPoolExecutor(16) as pool:
        responses = list(
            pool.map(lambda n: store.create(a_run(idempotency_key=f"k{n % 4}", request_hash="a")), range(64))
        )
    assert len({response["id"] for response in responses}) == 4
    assert sum(response["created"] for response in responses) == 4


def test_a_step_is_claimed_by_one_worker_only(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    with ThreadPoolExecutor(8) as pool:
        outcomes = [a["outcome"] for a in pool.map(lambda _: claim(store, run_id), range(8))]
    assert sorted(outcomes) == ["claimed"] + ["leased"] * 7
    assert store.get(run_id)["status"] == "running"


def test_a_repeated_claim_after_a_lost_response_returns_the_same(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    first, again = claim(store, run_id, "word"), claim(store, run_id, "word")
    del first["update"]["outbox_id"]  # of the row that the first claim left; the second leaves none
    assert first == again
    assert (first["outcome"], first["attempt"]) == ("claimed", 1)
    assert claim(store, run_id, "another")["outcome"] == "leased"


def test_a_finished_step_completes_its_run_once(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    token = claim(store, run_id)["token"]
    assert store.finish(ending(run_id, token))["outcome"] == "recorded"
    again = store.finish(ending(run_id, token, output={"reply": "other"}))
    assert again["outcome"] == "already"
    row = store.get(run_id)
    assert (row["status"], row["progress"], row["result"]) == ("completed", 1, {"reply": "hi"})
    assert claim(store, run_id)["outcome"] == "done"


def test_a_worker_that_lost_its_lease_cannot_write(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    lost = claim(store, run_id)["token"]
    expire(clean)
    assert sweep(store, clean)["expired"] == 1
    clean.execute("update public.run_steps set available_at = clock_timestamp()")
    token = claim(store, run_id)["token"]
    assert store.finish(ending(run_id, lost, output={"reply": "late"}))["outcome"] == "stale"
    assert [a["held"] for a in store.renew([{"run_id": str(run_id), "key": "chat_agent", "token": lost}])] == [False]
    assert store.finish(ending(run_id, token))["outcome"] == "recorded"
    assert store.get(run_id)["result"] == {"reply": "hi"}


def test_a_user_queue_has_a_bounded_number_of_published_steps(gateway: Gateway, clean: psycopg.Connection) -> None:
    store = RunStore(gateway, user_queue_limit=2, lease_seconds=LEASE_SECONDS)
    mine = [store.create(a_run(user_queue="mine")) for _ in range(5)]
    other = store.create(a_run(user_queue="other"))
    assert [len(response["publish"]) for response in mine] == [1, 1, 0, 0, 0]
    assert len(other["publish"]) == 1
    first = UUID(mine[0]["id"])
    ended = store.finish(ending(first, claim(store, first)["token"]))
    assert [p["run_id"] for p in ended["publish"]] == [mine[2]["id"]]


def test_a_user_queue_goes_by_priority_and_then_by_age(gateway: Gateway, clean: psycopg.Connection) -> None:
    store = RunStore(gateway, user_queue_limit=1, lease_seconds=LEASE_SECONDS)
    first = submit(store, user_queue="mine")
    submit(store, user_queue="mine")
    urgent = submit(store, user_queue="mine", priority=9)
    ended = store.finish(ending(first, claim(store, first)["token"]))
    assert [p["run_id"] for p in ended["publish"]] == [str(urgent)]


def test_concurrent_runs_of_many_users_end_once_each(store: RunStore, clean: psycopg.Connection) -> None:
    """Concurrent submits, claims and finishes of many user queues: no deadlock, no run lost."""

    def whole(n: int) -> str:
        run_id = submit(store, user_queue=f"user_queue{n % 7}")
        response = claim(store, run_id)
        return str(store.finish(ending(run_id, response["token"]))["outcome"])

    with ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(whole, range(200)))
    assert outcomes == ["recorded"] * 200
    left = clean.execute("select count(*) from public.runs where status <> 'completed'").fetchone()
    assert left == (0,)


def test_an_invalid_row_of_one_caller_does_not_fail_others(store: RunStore, clean: psycopg.Connection) -> None:
    """A bulk with rows that the database refuses still stores all others."""
    gate = threading.Event()

    def create(runs: Any) -> Any:
        gate.wait(60)
        return store._create(runs)

    group: GroupCommit[dict[str, Any]] = GroupCommit(create)

    def one(n: int) -> str:
        try:
            group.submit(a_run(user_id="no uuid") if n % 5 == 0 else a_run())
        except RejectedData:
            return "refused"
        return "stored"

    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(one, n) for n in range(20)]
        gate.set()
        outcomes = [future.result(120) for future in futures]
    assert [n for n, outcome in enumerate(outcomes) if outcome == "refused"] == [0, 5, 10, 15]
    assert clean.execute("select count(*) from public.runs").fetchone() == (16,)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("inf"), float("nan"), object()])
def test_a_value_that_postgres_cannot_store_is_refused_before_it_is_queued(store: RunStore, value: object) -> None:
    with pytest.raises(InvalidInput):
        store.create(a_run(input={"message": value}))


def test_a_step_without_a_key_is_refused(store: RunStore) -> None:
    with pytest.raises(RejectedData):
        store.create(a_run(steps=[a_step(key="")]))


def test_a_run_that_does_not_exist_is_not_found(store: RunStore) -> None:
    with pytest.raises(NotFound):
        store.get(uuid4())


@pytest.mark.parametrize("database_url", [None, "postgresql://127.0.0.1:9/postgres"], ids=["PostgREST", "Postgres"])
def test_an_unreachable_database_is_unavailable(stack: Stack, database_url: str | None) -> None:
    gone = Gateway(stack.settings_with(supabase_rest_url="http://127.0.0.1:9", database_url=database_url))
    with pytest.raises(Unavailable):
        RunStore(gone, user_queue_limit=1, lease_seconds=1).create(a_run())
    gone.close()
