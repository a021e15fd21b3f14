"""A role that changes in `user_profiles` reaches the sockets that are open, on the whole running stack."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from websockets.sync.client import connect

from pixelbloom.auth.mint import mint_user
from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from pixelbloom.events.publisher import Publisher
from tests.servers.runs import SomeRun
from tests.servers.web import SECONDS, Client
from tests.stack import Stack, StartedProcess

AT = "2026-01-31T12:00:00.000001Z"


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[StartedProcess]:
    process = stack.start("web", env={"ROLE_SECONDS": "0.4"})
    yield process
    process.kill()


@pytest.fixture
def chief(db: psycopg.Connection) -> Iterator[UUID]:
    """An administrator by `user_profiles`, with tokens without a role."""
    user = uuid4()
    db.execute("insert into public.user_profiles (user_id, role) values (%s, 'admin')", (user,))
    yield user
    db.execute("delete from public.user_profiles where user_id = %s", (user,))


def set_role(db: psycopg.Connection, user: UUID, role: str) -> None:
    db.execute("update public.user_profiles set role = %s where user_id = %s", (role, user))


def socket(stack: Stack, web: StartedProcess, user: UUID, channel: str, *, admin: bool = False) -> Client:
    token = mint_user(stack.settings, user, admin=admin)
    url = f"{web.url.replace('http', 'ws', 1)}/api/ws/{channel}?token={token}"
    return Client(connect(url, open_timeout=SECONDS))


def lead(user: UUID) -> DomainEvent:
    return domain.read("lead_created", {"lead_id": str(uuid4()), "created_at": AT, "user_id": str(user)})


def notification(user: UUID) -> DomainEvent:
    data: dict[str, Any] = {
        "notification_id": str(uuid4()),
        "notification_type": "run_completed",
        "severity": "success",
        "title": "Done",
        "message": "The run has ended.",
        "created_at": AT,
        "read": False,
        "metadata": {},
        "action_url": None,
    }
    return domain.read("notification_created", {**data, "user_id": str(user)})


def owners(client: Client) -> list[str]:
    """Return the users of the flat events so far."""
    return [frame["data"]["user_id"] for frame in client.quiet() if "data" in frame]


def test_a_demoted_administrator_loses_the_feeds_and_topics_of_others_only(stack, web, db, redis, chief):
    publisher, other = Publisher(redis), uuid4()
    own_run, other_run = SomeRun(chief), SomeRun(other)
    for run in (own_run, other_run):
        publisher.run_update(run.state("queued"))
    with (
        socket(stack, web, chief, "analytics") as analytics,
        socket(stack, web, chief, "notifications") as notifications,
        socket(stack, web, chief, "workflows") as workflows,
    ):
        analytics.send(type="subscribe", topic="kpis")
        analytics.until(snapshot=True)
        for user in (chief, other):
            notifications.send(type="subscribe", topic=f"user:{user}")
            notifications.until(snapshot=True)
        for run in (own_run, other_run):
            workflows.send(type="subscribe", topic=run.topic)
            workflows.until(snapshot=True)
        publisher.domain_events([lead(other)])
        assert analytics.until(type="lead_created")[-1]["data"]["user_id"] == str(other)

        set_role(db, chief, "user")
        analytics.until(code="INVALID_TOPIC", topic="kpis")
        notifications.until(code="INVALID_TOPIC", topic=f"user:{other}")
        workflows.until(code="INVALID_TOPIC", topic=other_run.topic)
        publisher.domain_events([lead(other), notification(other), lead(chief), notification(chief)])
        for run in (other_run, own_run):
            publisher.run_update(run.state("running"))

        assert analytics.until(type="lead_created")[-1]["data"]["user_id"] == str(chief)
        assert notifications.until(type="event")[-1]["topic"] == f"user:{chief}"
        assert workflows.until(status="running")[-1]["topic"] == own_run.topic
        assert [owners(analytics), owners(notifications), owners(workflows)] == [[], [], []]


def test_a_user_who_becomes_an_administrator_gets_the_feeds_of_everybody(stack, web, db, redis, chief):
    publisher, other, mark = Publisher(redis), uuid4(), uuid4()
    set_role(db, chief, "user")
    with socket(stack, web, chief, "analytics") as analytics:
        publisher.domain_events([lead(other), lead(chief)])
        assert analytics.next()["data"]["user_id"] == str(chief)

        set_role(db, chief, "admin")

        def promoted() -> bool:
            publisher.domain_events([lead(mark)])
            return str(mark) in owners(analytics)

        stack.wait_for(promoted)
        publisher.domain_events([lead(chief)])
        frames = analytics.until(user_id=str(chief))
        assert [frame["data"]["user_id"] for frame in frames if frame["data"]["user_id"] != str(mark)] == [str(chief)]


def test_a_role_that_the_token_claims_does_not_depend_on_the_profile(stack, web, db, redis, chief):
    publisher, other = Publisher(redis), uuid4()
    demoted, by_token = chief, uuid4()
    with (
        socket(stack, web, by_token, "analytics", admin=True) as analytics,
        socket(stack, web, demoted, "analytics") as sign,
    ):
        sign.send(type="subscribe", topic="kpis")
        sign.until(snapshot=True)
        set_role(db, demoted, "user")
        sign.until(code="INVALID_TOPIC")  # the roles of all sockets were looked up with this one's
        publisher.domain_events([lead(other)])
        assert analytics.until(type="lead_created")[-1]["data"]["user_id"] == str(other)
