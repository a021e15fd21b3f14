"""Receivers that hang delay nobody but their own user: limits by user and host, and a circuit breaker by host."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.database.gateway import Gateway
from pixelbloom.webhooks.store import BREAKER_FAILURES, HOST_LIMIT, USER_LIMIT, WebhookStore
from tests.integration.http import CHAT, Api
from tests.integration.webhooks.deliveries import ending, listed
from tests.servers.receiver import Receiver, Reply
from tests.stack import Stack

ENV = {"WEBHOOK_ALLOW_PRIVATE": "true", "RUN_RATE_LIMIT": "off"}


@pytest.fixture
def store(stack: Stack) -> Iterator[WebhookStore]:
    gateway = Gateway(stack.settings)
    yield WebhookStore(gateway)
    gateway.close()


@pytest.fixture(autouse=True)
def nothing_due(db: psycopg.Connection) -> Iterator[None]:
    def clear() -> None:
        db.execute("delete from public.webhook_deliveries")
        db.execute("delete from public.webhook_hosts")

    clear()
    yield
    clear()


def add(db: psycopg.Connection, user: UUID | None, url: str, number: int = 1) -> None:
    """Due deliveries of that user's."""
    run_id = uuid4()
    db.execute(
        "insert into public.runs (id, user_id, kind, agent_type, caller, user_queue, input, status, finished_at)"
        " values (%s, %s, 'agent', 'chat_agent', 'x', 'x', '{}', 'cancelled', now())",
        [run_id, user],
    )
    db.execute(
        "insert into public.webhook_deliveries (run_id, user_id, url, event)"
        " select %s, %s, %s, 'run.cancelled' from generate_series(1, %s)",
        [run_id, user, url, number],
    )


def hosts(db: psycopg.Connection, taken: list[dict[str, Any]]) -> Counter[str]:
    rows = db.execute(
        "select host from public.webhook_deliveries where id = any(%s)", [[row["id"] for row in taken]]
    ).fetchall()
    return Counter(host for (host,) in rows)


def finish(store: WebhookStore, row: dict[str, Any], **changes: Any) -> None:
    assert store.finish(UUID(row["id"]), row["token"], ending(**changes)) is not None


def pass_time(db: psycopg.Connection) -> None:
    """As if every pause and every circuit's time were over."""
    db.execute("update public.webhook_deliveries set next_attempt_at = now() where leased_until is null")
    db.execute("update public.webhook_hosts set open_until = now() where open_until is not null")


# Whole


def test_300_runs_to_a_hanging_receiver_do_not_delay_another_user(
    running: Stack, db: psycopg.Connection, redis: Any
) -> None:
    running.start("webhooks", env=ENV)
    web = Api(running.start("web", env=ENV).url, None, running.settings)
    crowd, other = web.as_user(), web.as_user()
    with (
        Receiver(Reply(delay=3600)) as hangs,
        Receiver() as receiver,
        Celery(broker=broker_address(running.redis_url), set_as_current=False) as broker,
    ):
        for _ in range(300):
            crowd.invoke({**CHAT, "webhook_url": hangs.url.replace("localhost", "127.0.0.1")})
        finish_runs(db)
        broker.send_task("pixelbloom.send_due_webhooks", queue="webhooks", ignore_result=True)
        running.wait_for(lambda: len(hangs.received) == USER_LIMIT)

        other.invoke({**CHAT, "webhook_url": receiver.url})
        finish_runs(db)
        broker.send_task("pixelbloom.send_due_webhooks", queue="webhooks", ignore_result=True)
        running.wait_for(lambda: listed(other, status="delivered"))

        assert len(receiver.received) == 1
        assert len(hangs.received) == USER_LIMIT, "all that reached the receiver still hang, and there are no more"
        ended = db.execute("select count(*) from public.webhook_deliveries where attempts > 0 and status = 'pending'")
        assert ended.fetchone() == (0,)


def finish_runs(db: psycopg.Connection) -> None:
    db.execute(
        "update public.runs set status = 'completed', finished_at = clock_timestamp(), progress = 1, result = '{}'"
        " where webhook_url is not null and finished_at is null"
    )


def test_a_responsive_receiver_gets_all_deliveries_without_waiting_for_beat(
    running: Stack, db: psycopg.Connection, redis: Any
) -> None:
    running.start("webhooks", env=ENV)
    with (
        Receiver() as receiver,
        Celery(broker=broker_address(running.redis_url), set_as_current=False) as broker,
    ):
        add(db, uuid4(), receiver.url, 40)
        broker.send_task("pixelbloom.send_due_webhooks", queue="webhooks", ignore_result=True)
        running.wait_for(lambda: len(receiver.received) >= 40)

    left = db.execute("select count(*) from public.webhook_deliveries where attempts > 1").fetchone()
    assert left == (0,)


# Limits


def test_deliveries_in_flight_are_bounded_per_user(db: psycopg.Connection, store: WebhookStore) -> None:
    add(db, uuid4(), "https://a.example/", 10)
    first = store.take(100, 60)

    assert len(first) == USER_LIMIT
    assert store.take(100, 60) == []
    finish(store, first[0], delivered=True, status_code=200)
    assert len(store.take(100, 60)) == 1


def test_deliveries_in_flight_are_bounded_per_host(db: psycopg.Connection, store: WebhookStore) -> None:
    for url in ("https://A.example/x", "https://a.example.:8443/y", "https://a.example?z", "https://a.example"):
        add(db, uuid4(), url, 10)
    add(db, None, "https://b.example/", 10)

    assert hosts(db, store.take(100, 60)) == {"a.example": HOST_LIMIT, "b.example": USER_LIMIT}
    assert store.take(100, 60) == []


def test_users_take_turns_when_capacity_is_scarce(db: psycopg.Connection, store: WebhookStore) -> None:
    for name in "abc":
        add(db, uuid4(), f"https://{name}.example/", 10)

    assert hosts(db, store.take(3, 60)) == {"a.example": 1, "b.example": 1, "c.example": 1}


def test_a_full_host_does_not_delay_its_users_other_deliveries(db: psycopg.Connection, store: WebhookStore) -> None:
    user = uuid4()
    for _ in range(2):
        add(db, uuid4(), "https://full.example/", USER_LIMIT)
    assert len(store.take(100, 60)) == HOST_LIMIT
    add(db, user, "https://full.example/", 10)
    add(db, user, "https://free.example/")

    assert hosts(db, store.take(100, 60)) == {"free.example": 1}


def test_a_dead_senders_delivery_uses_no_capacity(db: psycopg.Connection, store: WebhookStore) -> None:
    add(db, uuid4(), "https://a.example/", USER_LIMIT)
    assert len(store.take(100, 0)) == USER_LIMIT
    assert len(store.take(100, 60)) == USER_LIMIT


# The circuit breaker


def fail(db: psycopg.Connection, store: WebhookStore, times: int) -> None:
    for _ in range(times):
        pass_time(db)
        for row in store.take(1, 60):
            finish(store, row, status_code=None, responded=False)


def test_an_unreachable_host_is_skipped_and_then_tried_once(db: psycopg.Connection, store: WebhookStore) -> None:
    for _ in range(2):
        add(db, uuid4(), "https://dead.example/", 10)
    add(db, uuid4(), "https://well.example/", 1)
    [well] = [row for row in store.take(100, 0) if hosts(db, [row]) == {"well.example": 1}]
    finish(store, well, delivered=True, status_code=200)
    fail(db, store, BREAKER_FAILURES)
    db.execute("update public.webhook_deliveries set next_attempt_at = now() where status = 'pending'")

    assert store.take(100, 60) == [], "open"
    pass_time(db)
    [probe] = store.take(100, 60)
    assert store.take(100, 60) == [], "one at a time"
    finish(store, probe, status_code=None, responded=False)
    db.execute("update public.webhook_deliveries set next_attempt_at = now() where leased_until is null")
    assert store.take(100, 60) == [], "open again"
    pauses = db.execute("select open_seconds from public.webhook_hosts").fetchall()
    assert pauses == [(60.0,)], "for twice as long"
    pass_time(db)
    [probe] = store.take(100, 60)
    finish(store, probe, status_code=500)
    assert len(store.take(100, 60)) == HOST_LIMIT, "closed: any response shows that the host is up"


def test_responses_in_between_prevent_an_open_circuit(db: psycopg.Connection, store: WebhookStore) -> None:
    add(db, uuid4(), "https://a.example/", 10)
    for _ in range(3):
        fail(db, store, BREAKER_FAILURES - 1)
        pass_time(db)
        finish(store, store.take(1, 60)[0], status_code=503)

    pass_time(db)
    assert len(store.take(100, 60)) == USER_LIMIT


def test_a_delivery_ends_after_a_day_behind_an_open_circuit(db: psycopg.Connection, store: WebhookStore) -> None:
    add(db, uuid4(), "https://dead.example/", 2)
    db.execute("insert into public.webhook_hosts (host, failures, open_until) values ('dead.example', 9, 'infinity')")
    db.execute("update public.webhook_deliveries set expires_at = now() - interval '1 second'")

    assert store.take(100, 60) == []
    rows = db.execute("select status, finished_at is null, last_error from public.webhook_deliveries").fetchall()
    assert rows == [("failed", False, "The receiver was unreachable or too slow for a day.")] * 2
