"""The sweep: lost leases and messages, old runs, and the log."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.errors import NotFound
from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import FAR_AHEAD, LONG_AGO, claim, ending, expire, failing, submit, sweep


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


def test_the_newest_running_step_of_each_priority_is_found(store: RunStore, clean: psycopg.Connection) -> None:
    assert store.newest_running() == {}
    runs = [submit(store) for _ in range(3)]
    for run_id in runs[:2]:
        claim(store, run_id)
    published = "select published_at from public.run_steps where run_id = %s"
    [(newest,)] = clean.execute(published, [runs[1]]).fetchall()
    assert store.newest_running() == {0: newest}


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


def test_leases_that_expired_unseen_and_those_that_soon_do_get_the_grace(
    store: RunStore, clean: psycopg.Connection
) -> None:
    expired, expiring = submit(store), submit(store)
    for run_id, seconds in ((expired, -20), (expiring, 1)):
        claim(store, run_id)
        clean.execute(
            "update public.run_steps set lease_expires_at = now() + make_interval(secs => %s) where run_id = %s",
            [seconds, run_id],
        )
    clean.execute(
        "update public.system_state set next_sweep_at = '-infinity', last_sweep_at = now() - interval '1 minute'"
    )
    found = store.sweep(interval_seconds=1.5, lost_before={0: LONG_AGO}, limit=100)
    assert (found["outage"], found["expired"]) == (True, 0)
    left = "select min(lease_expires_at) > now() + interval '10 seconds' from public.run_steps"
    assert clean.execute(left).fetchone() == (True,)


def test_a_lease_taken_after_hours_without_a_sweep_expires_on_time(store: RunStore, clean: psycopg.Connection) -> None:
    run_id = submit(store)
    claim(store, run_id)
    before = clean.execute("select lease_expires_at from public.run_steps").fetchone()
    clean.execute(
        "update public.system_state set next_sweep_at = '-infinity', last_sweep_at = now() - interval '5 hours'"
    )
    first = store.sweep(interval_seconds=1.5, lost_before={0: LONG_AGO}, limit=100)
    assert (first["outage"], first["expired"]) == (False, 0)
    assert clean.execute("select lease_expires_at from public.run_steps").fetchone() == before
    expire(clean)
    clean.execute("update public.system_state set next_sweep_at = '-infinity'")
    assert store.sweep(interval_seconds=1.5, lost_before={0: LONG_AGO}, limit=100)["expired"] == 1


def test_the_worker_of_an_expired_lease_no_longer_counts(store: RunStore, clean: psycopg.Connection) -> None:
    capacity = "select internal.admission_capacity()"
    clean.execute("delete from public.agent_workers")
    store.report_worker("worker", 8)
    store.report_worker("another", 4)
    claim(store, submit(store))
    expire(clean)
    assert clean.execute(capacity).fetchone() == (12 + 3,)
    assert sweep(store, clean)["expired"] == 1
    assert clean.execute(capacity).fetchone() == (4 + 2,)
    store.report_worker("another", 0)


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
