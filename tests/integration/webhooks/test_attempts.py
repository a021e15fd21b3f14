"""Attempts at a webhook: each is sent once, whatever messages come late or twice, and a dead sender's is taken over."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.database.gateway import Gateway
from pixelbloom.webhooks.store import WebhookStore
from tests.integration.http import CHAT, Api
from tests.integration.webhooks.deliveries import ending, listed
from tests.servers.receiver import Receiver, Reply
from tests.stack import Stack
from tests.waiting import until

PRIVATE = {"WEBHOOK_ALLOW_PRIVATE": "true"}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web", env=PRIVATE)
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def sender(stack: Stack) -> Iterator[None]:
    """A webhooks worker that nobody but the test gives work to."""
    handle = stack.start("webhooks", env=PRIVATE)
    yield
    handle.stop()


@pytest.fixture
def store(stack: Stack) -> Iterator[WebhookStore]:
    gateway = Gateway(stack.settings)
    yield WebhookStore(gateway)
    gateway.close()


@pytest.fixture
def broker(stack: Stack) -> Iterator[Celery]:
    with Celery(broker=broker_address(stack.redis_url), set_as_current=False) as app:
        yield app


@pytest.fixture(autouse=True)
def nothing_due(db: psycopg.Connection) -> None:
    db.execute("delete from public.webhook_deliveries")


def give(broker: Celery, delivery: dict[str, Any]) -> None:
    broker.send_task(
        "pixelbloom.send_webhook", (delivery["id"], delivery["token"]), queue="webhooks", ignore_result=True
    )


def ended(api: Api, db: psycopg.Connection, url: str, status: str = "completed") -> UUID:
    """A run of this user that has ended."""
    run_id = UUID(api.invoke({**CHAT, "webhook_url": url}).json()["request_id"])
    db.execute(
        "update public.runs set status = %s, finished_at = clock_timestamp(), progress = 1, result = '{}',"
        " error = 'It failed.' where id = %s",
        [status, run_id],
    )
    return run_id


@pytest.mark.usefixtures("sender")
def test_an_attempt_taken_over_by_another_worker_is_not_sent(
    web: Api, db: psycopg.Connection, stack: Stack, store: WebhookStore, broker: Celery
) -> None:
    user = web.as_user()
    with Receiver() as server:
        ended(user, db, server.url)
        [late] = store.take(10, 0)
        [newest] = store.take(10, 60)
        give(broker, late)
        give(broker, newest)
        stack.wait_for(lambda: listed(user, status="delivered"))
        stack.wait_for(lambda: idle(broker))

    assert len(server.received) == 1


@pytest.mark.usefixtures("sender")
def test_a_duplicate_message_is_sent_once(
    web: Api, db: psycopg.Connection, stack: Stack, store: WebhookStore, broker: Celery
) -> None:
    user = web.as_user()
    with Receiver(Reply(delay=1.0)) as server:
        ended(user, db, server.url)
        [due] = store.take(10, 60)
        give(broker, due)
        give(broker, due)
        stack.wait_for(lambda: listed(user, status="delivered"))
        stack.wait_for(lambda: idle(broker))

    assert len(server.received) == 1


def idle(broker: Celery) -> bool:
    inspect = broker.control.inspect(timeout=1.0)
    active = inspect.active() or {}
    return not any(tasks for name, tasks in active.items() if name.startswith("webhooks"))


def test_a_delivery_of_a_dead_sender_is_taken_again(web: Api, db: psycopg.Connection, store: WebhookStore) -> None:
    ended(web.as_user(), db, "https://example.com/")
    [first] = store.take(10, 0.2)
    [second] = until(lambda: store.take(10, 60))

    assert second["id"] == first["id"]
    assert store.finish(UUID(first["id"]), first["token"], ending(delivered=True)) is None
    assert store.finish(UUID(first["id"]), second["token"], ending(delivered=True)) == "delivered"


@pytest.mark.usefixtures("sender")
def test_a_redelivery_restarts_the_backoff(
    web: Api, db: psycopg.Connection, stack: Stack, store: WebhookStore, broker: Celery
) -> None:
    user = web.as_user()
    with Receiver(Reply(500)) as server:
        ended(user, db, server.url)
        db.execute("update public.webhook_deliveries set status = 'failed', finished_at = now(), attempts = 18")
        [row] = listed(user)
        assert user.request("POST", f"/api/agents/webhooks/{row['delivery_id']}/redeliver").status_code == 200
        [due] = store.take(1, 60)
        give(broker, due)
        stack.wait_for(lambda: listed(user)[0]["last_status_code"] == 500)

    pause = db.execute("select next_attempt_at - now() < interval '1 minute' from public.webhook_deliveries").fetchone()
    assert pause == (True,)


def test_a_retried_run_that_ends_again_is_delivered_again(web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    run_id = ended(user, db, "https://example.com/", "failed")
    db.execute("update public.runs set status = 'queued', finished_at = null, result = null where id = %s", [run_id])
    db.execute(
        "update public.runs set status = 'completed', finished_at = now(), progress = 1, result = '{}' where id = %s",
        [run_id],
    )

    assert [row["event"] for row in listed(user)] == ["run.completed", "run.failed"]


def test_pages_of_deliveries_follow_each_other(web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    made = [str(ended(user, db, "https://example.com/")) for _ in range(3)]
    first = user.get("/api/agents/webhooks", params={"limit": 2}).json()
    second = user.get("/api/agents/webhooks", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [row["run_id"] for row in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
