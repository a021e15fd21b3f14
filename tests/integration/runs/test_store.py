"""The transitions of a run, through PostgREST, as the tiers call them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway, RejectedData
from pixelbloom.database.group_commit import GroupCommit
from pixelbloom.errors import InvalidInput, NotFound, Unavailable
from pixelbloom.runs.store import RunStore
from tests.stack import Stack

LEASE_SECONDS = 15.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Gateway]:
    opened = Gateway(stack.settings)
    yield opened
    opened.close()


@pytest.fixture
def store(gateway: Gateway) -> RunStore:
    return RunStore(gateway, lane_limit=100, lease_seconds=LEASE_SECONDS)


@pytest.fixture
def clean(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    db.execute("truncate public.runs, public.event_outbox cascade")
    db.execute("update public.system_state set next_sweep_at = '-infinity', last_sweep_at = null")
    yield db
    db.execute("truncate public.runs, public.event_outbox cascade")


def a_step(**more: Any) -> dict[str, Any]:
    return {
        "key": "chat_agent",
        "agent_type": "chat_agent",
        "input": {"message": "hello"},
        "backoff_seconds": 0,
        **more,
    }


def a_run(**more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "kind": "agent",
        "agent_type": "chat_agent",
        "caller": "service",
        "lane": "service",
        "input": {"message": "hello"},
        "steps": [a_step()],
        **more,
    }


def submit(store: RunStore, **more: Any) -> UUID:
    return UUID(store.create(a_run(**more))["id"])


def claim(store: RunStore, run_id: UUID, word: str | None = None) -> dict[str, Any]:
    return store.claim(run_id, "chat_agent", "worker", word or uuid4().hex)


def ending(run_id: UUID, token: int, **more: Any) -> dict[str, Any]:
    return {
        "run_id": str(run_id),
        "key": "chat_agent",
        "token": token,
        "what": "completed",
        "output": {"reply": "hi"},
        "provider": "fallback",
        **more,
    }


def failing(run_id: UUID, token: int, *, retryable: bool = True) -> dict[str, Any]:
    return ending(run_id, token, what="failed", error="it broke", error_code="BROKEN", retryable=retryable)


def sweep(store: RunStore, db: psycopg.Connection, lost_before: datetime = LONG_AGO) -> dict[str, Any]:
    """Sweep now, as if the last sweep had been a moment ago."""
    db.execute("update public.system_state set next_sweep_at = '-infinity', last_sweep_at = clock_timestamp()")
    return store.sweep(interval_seconds=1.5, lost_before={0: lost_before, -1: lost_before}, limit=100)


def expire(db: psycopg.Connection) -> None:
    db.execute("update public.run_steps set lease_expires_at = now() - interval '1 second' where status = 'running'")


def test_a_submitted_run_is_a_row_with_one_step_and_is_published(store: RunStore, clean: psycopg.Connection) -> None:
    response = store.create(a_run())
    assert response["created"]
    assert [(p["run_id"], p["key"]) for p in response["publish"]] == [(response["id"], "chat_agent")]
    row = store.get(UUID(response["id"]))
    assert (row["status"], row["progress"]) == ("queued", 0)
    assert [step["status"] for step in row["run_steps"]] == ["pending"]
    assert clean.execute("select count(*) from public.event_outbox").fetchone() == (1,)


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


def test_a_failed_attempt_is_tried_again_until_the_limit(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    for attempt in (1, 2, 3, 4, 5):
        response = claim(store, run_id)
        assert response["attempt"] == attempt
        ended = store.finish(failing(run_id, response["token"]))
        assert len(ended["publish"]) == (1 if attempt < 5 else 0)
    row = store.get(run_id)
    assert (row["status"], row["error"], row["error_code"]) == ("failed", "it broke", "BROKEN")
    (errors,) = clean.execute("select errors from public.run_steps").fetchone() or ([],)
    assert [e["attempt"] for e in errors] == [1, 2, 3, 4, 5]


def test_a_permanent_error_fails_the_run_at_once(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    store.finish(failing(run_id, claim(store, run_id)["token"], retryable=False))
    assert store.get(run_id)["status"] == "failed"


def handing_back(run_id: UUID, token: int) -> dict[str, Any]:
    return ending(run_id, token, what="handed_back", error="the worker stops", error_code="WORKER_STOPPING")


def test_a_step_that_is_handed_back_uses_up_no_attempt_and_is_published_at_once(
    store: RunStore, clean: psycopg.Connection
) -> None:
    run_id = submit(store)
    for token in range(1, 21):
        response = claim(store, run_id)
        assert (response["token"], response["attempt"]) == (token, 1)
        ended = store.finish(handing_back(run_id, token))
        assert (ended["outcome"], ended["became"]) == ("recorded", "handed_back")
        assert [p["run_id"] for p in ended["publish"]] == [str(run_id)]
        assert store.finish(handing_back(run_id, token))["outcome"] == "stale"
        row = store.get(run_id)
        assert (row["status"], row["run_steps"][0]["attempt"]) == ("running", 1)
    # Its own failures count as before, and hand-backs between them do not.
    for attempt in (1, 2, 3, 4, 5):
        store.finish(handing_back(run_id, claim(store, run_id)["token"]))
        response = claim(store, run_id)
        assert response["attempt"] == attempt
        store.finish(failing(run_id, response["token"]))
    row = store.get(run_id)
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "BROKEN", 5)
    assert clean.execute(
        "select event, count(*) from public.agent_logs where run_id = %s group by 1 order by 1", (run_id,)
    ).fetchall() == [("step_failed", 1), ("step_interrupted", 25), ("step_retried", 4)]


def test_a_lost_lease_uses_up_no_attempt_and_waits_longer_each_time(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = UUID(store.create(a_run(steps=[a_step(max_attempts=1)]))["id"])
    for loss in range(12):
        response = claim(store, run_id)
        assert (response["outcome"], response["attempt"]) == ("claimed", 1)
        expire(clean)
        assert sweep(store, clean)["expired"] == 1
        [(wait,)] = clean.execute(
            "select extract(epoch from available_at - clock_timestamp())::float8 from public.run_steps"
        ).fetchall()
        longest = min(2**loss, 300)
        assert longest / 2 - 10 < wait <= longest
        clean.execute("update public.run_steps set available_at = clock_timestamp()")
    assert store.finish(ending(run_id, claim(store, run_id)["token"]))["outcome"] == "recorded"
    row = store.get(run_id)
    assert (row["status"], row["attempts"], row["run_steps"][0]["attempt"]) == ("completed", 1, 1)


@pytest.mark.parametrize("how", ["handed back", "lost"])
def test_a_step_that_is_interrupted_a_hundred_times_fails_until_a_person_retries_it(
    store: RunStore, clean: psycopg.Connection, how: str
) -> None:
    run_id = submit(store)

    def interrupt() -> None:
        token = claim(store, run_id)["token"]
        if how == "lost":
            expire(clean)
            sweep(store, clean)
        else:
            store.finish(handing_back(run_id, token))
        clean.execute("update public.run_steps set available_at = clock_timestamp()")

    for _ in range(99):
        interrupt()
    assert store.get(run_id)["status"] == "running"
    interrupt()
    row = store.get(run_id)
    assert (row["status"], row["error_code"], row["attempts"]) == ("failed", "TOO_MANY_INTERRUPTIONS", 1)
    assert "100 times" in row["error"]
    store.retry([run_id])
    interrupt()
    assert store.get(run_id)["status"] == "running"
    assert store.finish(ending(run_id, claim(store, run_id)["token"]))["became"] == "completed"


def test_a_cancelled_run_is_over_when_its_worker_hands_the_step_back(
    store: RunStore, clean: psycopg.Connection
) -> None:
    run_id = submit(store)
    token = claim(store, run_id)["token"]
    store.cancel(run_id)
    assert store.finish(handing_back(run_id, token))["became"] == "cancelled"
    assert store.get(run_id)["status"] == "cancelled"


def test_a_retry_waits_for_its_backoff(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store, steps=[a_step(backoff_seconds=600)])
    store.finish(failing(run_id, claim(store, run_id)["token"]))
    assert claim(store, run_id)["outcome"] == "not_ready"
    assert sweep(store, clean)["publish"] == []
    clean.execute("update public.run_steps set available_at = clock_timestamp()")
    assert [p["run_id"] for p in sweep(store, clean)["publish"]] == [str(run_id)]


@pytest.mark.parametrize(("how", "most"), [("failed", 3600), ("lost", 300)])
def test_the_backoff_of_a_step_doubles_from_its_own_up_to_a_limit(
    store: RunStore, clean: psycopg.Connection, how: str, most: int
) -> None:
    run_id = submit(store, steps=[a_step(backoff_seconds=40, max_attempts=20)])
    for earlier in range(9):
        token = claim(store, run_id)["token"]
        if how == "lost":
            expire(clean)
            sweep(store, clean)
        else:
            store.finish(failing(run_id, token))
        [(wait,)] = clean.execute(
            "select extract(epoch from available_at - clock_timestamp())::float8 from public.run_steps"
        ).fetchall()
        longest = min(40 * 2**earlier, most)
        assert longest / 2 - 10 < wait <= longest
        clean.execute("update public.run_steps set available_at = clock_timestamp()")


def test_a_renewed_lease_is_not_swept(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    token = claim(store, run_id)["token"]
    expire(clean)
    response = store.renew([{"run_id": str(run_id), "key": "chat_agent", "token": token}])
    assert response == [{"held": True, "cancel": False}]
    assert sweep(store, clean)["expired"] == 0


def test_only_one_sweep_runs_at_a_time(store: RunStore, clean: psycopg.Connection) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(
            pool.map(lambda _: store.sweep(interval_seconds=60, lost_before={0: LONG_AGO}, limit=10), range(8))
        )
    assert sorted(a["skipped"] for a in responses) == [False] + [True] * 7


def test_a_step_that_the_broker_lost_is_published_again(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    assert sweep(store, clean, lost_before=datetime.now(UTC) - timedelta(hours=1))["lost"] == 0
    again = sweep(store, clean, lost_before=FAR_AHEAD)
    assert again["lost"] == 1
    assert [p["run_id"] for p in again["publish"]] == [str(run_id)]


def test_leases_get_one_lease_of_grace_after_an_outage(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    claim(store, run_id)
    expire(clean)
    clean.execute(
        "update public.system_state set next_sweep_at = '-infinity', last_sweep_at = now() - interval '1 hour'"
    )
    first = store.sweep(interval_seconds=1.5, lost_before={0: LONG_AGO}, limit=100)
    assert (first["outage"], first["expired"]) == (True, 0)
    expire(clean)
    assert sweep(store, clean)["expired"] == 1


def test_a_user_queue_has_a_bounded_number_of_published_steps(gateway: Gateway, clean: psycopg.Connection) -> None:
    store = RunStore(gateway, lane_limit=2, lease_seconds=LEASE_SECONDS)
    mine = [store.create(a_run(lane="mine")) for _ in range(5)]
    other = store.create(a_run(lane="other"))
    assert [len(response["publish"]) for response in mine] == [1, 1, 0, 0, 0]
    assert len(other["publish"]) == 1
    first = UUID(mine[0]["id"])
    ended = store.finish(ending(first, claim(store, first)["token"]))
    assert [p["run_id"] for p in ended["publish"]] == [mine[2]["id"]]


def test_a_user_queue_goes_by_priority_and_then_by_age(gateway: Gateway, clean: psycopg.Connection) -> None:
    store = RunStore(gateway, lane_limit=1, lease_seconds=LEASE_SECONDS)
    first = submit(store, lane="mine")
    submit(store, lane="mine")
    urgent = submit(store, lane="mine", priority=9)
    ended = store.finish(ending(first, claim(store, first)["token"]))
    assert [p["run_id"] for p in ended["publish"]] == [str(urgent)]


def test_concurrent_runs_of_many_users_end_once_each(store: RunStore, clean: psycopg.Connection) -> None:
    """Concurrent submits, claims and finishes of many user queues: no deadlock, no run lost."""

    def whole(n: int) -> str:
        run_id = submit(store, lane=f"lane{n % 7}")
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
        gate.wait(10)
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
        outcomes = [future.result(30) for future in futures]
    assert [n for n, outcome in enumerate(outcomes) if outcome == "refused"] == [0, 5, 10, 15]
    assert clean.execute("select count(*) from public.runs").fetchone() == (16,)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("inf"), float("nan"), object()])
def test_a_value_that_postgres_cannot_store_is_refused_before_it_is_queued(store: RunStore, value: object) -> None:
    with pytest.raises(InvalidInput):
        store.create(a_run(input={"message": value}))


def test_a_run_that_does_not_exist_is_not_found(store: RunStore) -> None:
    with pytest.raises(NotFound):
        store.get(uuid4())


def test_an_unreachable_database_is_unavailable(stack: Stack) -> None:
    gone = Gateway(stack.settings_with(supabase_rest_url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        RunStore(gone, lane_limit=1, lease_seconds=1).create(a_run())
    gone.close()


def test_cancelling_ends_a_waiting_run_at_once_and_a_running_one_at_its_next_heartbeat(
    store: RunStore, clean: psycopg.Connection
) -> None:
    waiting, running = submit(store), submit(store)
    token = claim(store, running)["token"]

    def cancel(run_id: UUID) -> tuple[str, str]:
        response = store.cancel(run_id)
        return response["outcome"], response["status"]

    assert cancel(waiting) == ("cancelled", "cancelled")
    assert cancel(running) == ("requested", "running")
    assert store.renew([{"run_id": str(running), "key": "chat_agent", "token": token}]) == [
        {"held": True, "cancel": True}
    ]
    store.finish(ending(running, token))
    assert store.get(running)["status"] == "cancelled"
    assert cancel(running) == ("finished", "cancelled")


def test_old_runs_are_removed_oldest_first_and_with_their_steps(store: RunStore, clean: psycopg.Connection) -> None:
    ended = [submit(store) for _ in range(3)]
    for run_id in ended:
        store.finish(ending(run_id, claim(store, run_id)["token"]))
    still_open = submit(store)
    for days, run_id in enumerate(ended):
        clean.execute(
            "update public.runs set finished_at = now() - make_interval(days => %s) where id = %s",
            (10 - days, run_id),
        )
    week = datetime.now(UTC) - timedelta(days=8, hours=12)
    assert store.purge(week, 1) == 1
    with pytest.raises(NotFound):
        store.get(ended[0])
    assert store.purge(week, 10) == 1
    assert store.purge(week, 10) == 0
    assert store.get(ended[2])["status"] == "completed"
    assert store.get(still_open)["status"] == "queued"
    assert clean.execute("select count(*) from public.run_steps").fetchone() == (2,)


def test_the_log_has_the_outcome_of_each_attempt_while_its_run_exists(
    store: RunStore, clean: psycopg.Connection
) -> None:
    def log(run_id: UUID) -> list[tuple[Any, ...]]:
        return clean.execute(
            "select level, event, detail ->> 'attempt', detail ->> 'error', detail ->> 'provider', agent_type, user_id"
            " from public.agent_logs where run_id = %s order by created_at",
            (run_id,),
        ).fetchall()

    user = uuid4()
    retried = submit(store, user_id=str(user))
    store.finish(failing(retried, claim(store, retried)["token"]))
    store.finish(ending(retried, claim(store, retried)["token"], provider="ollama"))
    assert log(retried) == [
        ("warning", "step_retried", "1", "it broke", None, "chat_agent", user),
        ("info", "step_completed", "2", None, "ollama", "chat_agent", user),
    ]
    by_rules, failed = submit(store), submit(store)
    store.finish(ending(by_rules, claim(store, by_rules)["token"], provider="fallback"))
    store.finish(failing(failed, claim(store, failed)["token"], retryable=False))
    assert log(by_rules) == [("warning", "step_completed", "1", None, "fallback", "chat_agent", None)]
    assert log(failed) == [("error", "step_failed", "1", "it broke", None, "chat_agent", None)]

    clean.execute("update public.runs set finished_at = now() - interval '9 days' where id = %s", (retried,))
    assert store.purge(datetime.now(UTC) - timedelta(days=8), 10) == 1
    assert log(retried) == []
    assert len(log(failed)) == 1


def test_a_cancelled_run_is_retried_and_a_completed_one_is_not(store: RunStore, clean: psycopg.Connection) -> None:
    cancelled, done = submit(store), submit(store)
    store.cancel(cancelled)
    store.finish(ending(done, claim(store, done)["token"]))
    response = store.retry([cancelled, done, uuid4()])
    assert [item["outcome"] for item in response["items"]] == ["retried", "not_failed", "gone"]
    assert [p["run_id"] for p in response["publish"]] == [str(cancelled)]
    assert store.finish(ending(cancelled, claim(store, cancelled)["token"]))["outcome"] == "recorded"
    assert store.get(cancelled)["retries"] == 1
