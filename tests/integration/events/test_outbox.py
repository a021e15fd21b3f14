"""Rows written to the database are published over the sockets exactly once, whoever writes them."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from pixelbloom.auth.mint import mint_user
from tests.integration.http import Api
from tests.rows import one
from tests.servers.redis import OwnRedis
from tests.servers.web import Client, dial
from tests.servers.workers import Supervisor
from tests.stack import Stack, stop_all
from tests.waiting import SECONDS, Background, background, repeat_until


@pytest.fixture(scope="module")
def own() -> Iterator[OwnRedis]:
    with OwnRedis() as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, own: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Web, beat and a supervised events worker on a Redis that may be killed; the worker may end for it."""
    with stack.values_with(REDIS_URL=own.url):
        workers = Supervisor(stack.env, tmp_path_factory.mktemp("workers"), ["events"])
        started = [stack.start(role) for role in ("beat", "web")]
    done = threading.Event()

    def supervise() -> None:
        while not done.wait(0.2):
            workers.look()

    with background(supervise):
        try:
            yield Api(started[-1].url, None, stack.settings)
        finally:
            done.set()
    stop_all(started)
    workers.close()


def socket_of(api: Api, channel: str) -> Client:
    url = api.url.replace("http", "ws") + f"/api/ws/{channel}?token={api.token}"
    return Client(dial(url))


class Browser:
    """A page that writes through PostgREST under its user's token."""

    def __init__(self, stack: Stack, user_id: UUID) -> None:
        self.id = user_id
        self._rest = stack.rest_url
        self._headers = {
            "Authorization": f"Bearer {mint_user(stack.settings, user_id)}",
            "Prefer": "return=representation",
        }

    def request(self, method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
        response = httpx.request(
            method, f"{self._rest}/{path}", headers=self._headers, json=body, timeout=SECONDS, trust_env=False
        )
        assert response.is_success, response.text
        rows: list[dict[str, Any]] = response.json() if response.content else []
        return rows

    def add(self, table: str, **row: Any) -> str:
        return str(self.request("POST", table, {"user_id": str(self.id), **row})[0]["id"])


def test_rows_written_by_a_browser_are_published_to_its_user_and_administrators(stack: Stack, web: Api) -> None:
    user = web.as_user()
    assert user.user_id is not None
    browser = Browser(stack, user.user_id)
    with (
        socket_of(user, "analytics") as own,
        socket_of(web.as_user(), "analytics") as stranger,
        socket_of(web.as_user(admin=True), "analytics") as admin,
    ):
        lead = browser.add("leads", name="Ada")
        assert own.next() == {
            "type": "lead_created",
            "data": {"id": lead, "lead_id": lead, "user_id": str(user.user_id), "created_at": ANY_TIME},
        }
        talk = browser.add("conversations", title="Hello")
        message = browser.add("messages", conversation_id=talk, role="user", content="Hello")
        assert own.next() == {
            "type": "message_created",
            "data": {
                "id": message,
                "conversation_id": talk,
                "message_id": message,
                "user_id": str(user.user_id),
                "created_at": ANY_TIME,
            },
        }
        browser.request("PATCH", f"conversations?id=eq.{talk}", {"deleted_at": "2026-01-31T12:00:00+00:00"})
        assert own.next() == {
            "type": "conversation_deleted",
            "data": {
                "id": talk,
                "conversation_id": talk,
                "user_id": str(user.user_id),
                "deleted_at": "2026-01-31T12:00:00Z",
            },
        }
        received = [admin.next()["type"] for _ in range(3)]
        assert received == ["lead_created", "message_created", "conversation_deleted"]
        assert [own.quiet(), admin.quiet(), stranger.quiet()] == [[], [], []]


class AnyTime:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.endswith("Z") and other[10] == "T"

    __hash__ = None  # type: ignore[assignment]


ANY_TIME = AnyTime()


def test_rows_written_by_the_backend_are_published(web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    with socket_of(user, "analytics") as analytics, socket_of(user, "notifications") as notifications:
        lead = one(db, "insert into leads (user_id, name) values (%s, 'Ada') returning id", user.user_id)
        db.execute("update leads set analysis_id = %s, analyzed_at = now(), score = 50 where id = %s", [lead, lead])
        package = one(db, "insert into pricing_packages (name, price) values (%s, 49) returning id", f"P{lead}")
        subscription = one(
            db,
            "insert into user_subscriptions (user_id, package_id, status, final_price) values (%s, %s, 'active', 49)"
            " returning id",
            user.user_id,
            package,
        )
        db.execute("update user_subscriptions set status = 'past_due' where id = %s", [subscription])
        db.execute("update user_subscriptions set status = 'past_due' where id = %s", [subscription])  # no change
        db.execute(
            "insert into notifications (user_id, notification_type, severity, title, message, action_url, metadata)"
            " values (%s, 'hello', 'warning', 'Hi', 'You there', '/here', '{\"a\": 1}')",
            [user.user_id],
        )
        received = [analytics.next() for _ in range(4)]
        noted = notifications.next()

        assert [(frame["type"], frame["data"].get("plan")) for frame in received] == [
            ("lead_created", None),
            ("lead_analyzed", None),
            ("subscription_created", f"P{lead}"),
            ("subscription_updated", f"P{lead}"),
        ]
        assert received[1]["data"]["analysis_id"] == str(lead)
        assert noted["type"] == "notification_created"
        assert noted["data"]["id"] == noted["data"]["notification_id"]
        assert {**noted["data"], "id": None, "notification_id": None, "created_at": None} == {
            "id": None,
            "notification_id": None,
            "user_id": str(user.user_id),
            "notification_type": "hello",
            "severity": "warning",
            "title": "Hi",
            "message": "You there",
            "action_url": "/here",
            "metadata": {"a": 1},
            "read": False,
            "created_at": None,
        }
        assert analytics.quiet() == []


def test_rolled_back_rows_are_not_published(web: Api, stack: Stack) -> None:
    user = web.as_user()
    with socket_of(user, "analytics") as client, psycopg.connect(stack.database_url) as db:
        db.execute("insert into leads (user_id, name) values (%s, 'Nobody')", [user.user_id])
        db.rollback()
        db.execute("insert into leads (user_id, name) values (%s, 'Ada')", [user.user_id])
        db.commit()

        assert client.next()["type"] == "lead_created"
        stack.wait_for(lambda: one(db, "select count(*) from event_outbox where user_id = %s", user.user_id) == 0)
        assert client.quiet() == []


def test_events_during_an_outage_of_redis_are_published_later_in_order_and_once(
    web: Api, own: OwnRedis, db: psycopg.Connection, stack: Stack
) -> None:
    user = web.as_user()
    talk = one(db, "insert into conversations (user_id) values (%s) returning id", user.user_id)
    client = socket_of(user, "analytics")
    ids: list[str] = []

    def say(times: int) -> None:
        for _ in range(times):
            row = one(
                db,
                "insert into messages (conversation_id, user_id, role, content) values (%s, %s, 'user', 'x')"
                " returning id",
                talk,
                user.user_id,
            )
            ids.append(str(row))

    with client:
        say(20)
        own.kill()
        say(300)
        own.start()
        say(20)
        received: list[str] = []
        for _ in repeat_until(lambda: len(received) >= len(ids), saw=lambda: (len(ids), received[-3:])):
            frame = client.next()
            received.append(frame["data"]["message_id"])
        stack.wait_for(lambda: one(db, "select count(*) from event_outbox where user_id = %s", user.user_id) == 0)
        received += [frame["data"]["message_id"] for frame in client.quiet()]

    assert received == ids


def test_each_notification_is_either_in_the_snapshot_or_after_it(web: Api, stack: Stack) -> None:
    user = web.as_user()
    ids: set[str] = set()
    done = threading.Event()

    def write() -> None:
        with psycopg.connect(stack.database_url, autocommit=True) as db:
            while not done.is_set():
                row = one(
                    db,
                    "insert into notifications (user_id, notification_type, title, message) values (%s, 'n', 't', 'm')"
                    " returning id",
                    user.user_id,
                )
                ids.add(str(row))
                time.sleep(0.03)

    writer = Background(write)
    writer.start()
    clients = []
    try:
        for _ in range(10):
            client = socket_of(user, "notifications")
            client.send(type="subscribe", topic=f"user:{user.user_id}")
            clients.append(client)
            at_least = len(ids) + 5
            stack.wait_for(lambda at_least=at_least: len(ids) >= at_least)
    finally:
        done.set()
        writer.result()
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        stack.wait_for(lambda: one(db, "select count(*) from event_outbox where user_id = %s", user.user_id) == 0)
    for client in clients:
        with client:
            frames = [frame for frame in client.quiet() if frame["type"] == "event"]
            snapshot, events = frames[0], frames[1:]
            assert snapshot["snapshot"] is True
            assert snapshot["data"]["unread_count"] == len(snapshot["data"]["items"])
            got = [item["id"] for item in snapshot["data"]["items"]] + [frame["data"]["id"] for frame in events]
            assert len(got) == len(set(got))
            assert set(got) == ids
            assert [frame["seq"] for frame in events] == list(
                range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(events))
            )


def test_trends_follow_the_rows(web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    with socket_of(user, "analytics") as client:
        for topic in ("lead_trends", "conversation_trends", "kpis"):
            client.send(type="subscribe", topic=topic)
            client.until(type="event")
        db.execute("insert into leads (user_id, name) values (%s, 'Ada')", [user.user_id])
        db.execute("insert into leads (name) values ('of nobody')")
        seen: dict[str, Any] = {}
        for _ in repeat_until(lambda: len(seen) >= 2, saw=lambda: seen):
            frame = client.until(type="event")[-1]
            seen[frame["topic"]] = frame["data"]

        db.execute(
            "insert into invoices (user_id, status, currency, amount_due, amount_paid, issued_at, paid_at)"
            " values (%s, 'paid', 'usd', 49, 49, now(), now())",
            [user.user_id],
        )
        paid = client.until(type="event", topic="kpis")[-1]["data"]["total_revenue"]["value"]

    assert paid == 49
    assert [point["value"] for point in seen["lead_trends"]] == [0] * 29 + [1]
    assert seen["kpis"]["total_leads"] == {"value": 1, "change": None}
