"""Attempts at a step: failed, handed back, interrupted, cancelled and retried."""

from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import a_run, a_step, claim, ending, expire, failing, handing_back, submit, sweep


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


def test_a_cancelled_run_is_retried_and_a_completed_one_is_not(store: RunStore, clean: psycopg.Connection) -> None:
    cancelled, done = submit(store), submit(store)
    store.cancel(cancelled)
    store.finish(ending(done, claim(store, done)["token"]))
    response = store.retry([cancelled, done, uuid4()])
    assert [item["outcome"] for item in response["items"]] == ["retried", "not_failed", "gone"]
    assert [p["run_id"] for p in response["publish"]] == [str(cancelled)]
    assert store.finish(ending(cancelled, claim(store, cancelled)["token"]))["outcome"] == "recorded"
    assert store.get(cancelled)["retries"] == 1
