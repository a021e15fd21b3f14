"""Leads, conversations, subscriptions and notifications over the sockets, through their publisher."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from pixelbloom.web.realtime.figures import COMPUTERS, FIRST_AT_ONCE
from tests.servers.redis import OwnRedis
from tests.servers.web import Client, Web, token
from tests.waiting import until

AT = "2026-01-31T12:00:00.000001Z"
ID = "812ee4be-d17d-4004-9d1e-cdceb3401e9d"
#: Every event of the spec with exactly its fields, less `user_id`.
SPEC: dict[str, dict[str, Any]] = {
    "lead_created": {"lead_id": ID, "created_at": AT},
    "lead_analyzed": {"lead_id": ID, "analysis_id": ID, "completed_at": AT},
    "message_created": {"conversation_id": ID, "message_id": ID, "created_at": AT},
    "conversation_deleted": {"conversation_id": ID, "deleted_at": AT},
    "subscription_created": {"subscription_id": ID, "plan": "Growth", "created_at": AT},
    "subscription_updated": {"subscription_id": ID, "plan": "Growth", "updated_at": AT},
    "notification_created": {
        "notification_id": ID,
        "notification_type": "run_completed",
        "severity": "success",
        "title": "Done",
        "message": "The run has ended.",
        "created_at": AT,
        "read": False,
        "metadata": {"run_id": ID},
        "action_url": "/runs/1",
    },
}


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(server.url, tmp_path_factory.mktemp("web")) as web:
        yield web
        assert web.errors() == ""


def event(kind: str, user_id: UUID | None, **changes: Any) -> DomainEvent:
    """Return an event of its own with new ids."""
    data = {name: str(uuid4()) if value == ID else value for name, value in SPEC[kind].items()}
    return domain.read(kind, {**data, "user_id": str(user_id) if user_id else None, **changes})


def notification(user_id: UUID, **changes: Any) -> DomainEvent:
    return event("notification_created", user_id, **changes)


def subscribed(client: Client, topic: str, **options: Any) -> list[dict[str, Any]]:
    client.send(type="subscribe", topic=topic, **options)
    response = client.until(type="subscribed")
    return response if response[-1]["recovered"] else [*response, client.next()]


def channel_of(kind: str) -> str:
    return domain.TYPES[kind].channel


@pytest.mark.parametrize("kind", SPEC)
def test_an_event_reaches_its_owner_and_administrators_with_the_fields_of_the_spec(web, publisher, kind):
    user, chief, other = uuid4(), uuid4(), uuid4()
    with (
        web.connect(user, channel_of(kind)) as owner,
        web.connect(chief, channel_of(kind), claims={"role": "admin"}) as admin,
        web.connect(other, channel_of(kind)) as stranger,
        web.connect(user, "workflows") as elsewhere,
    ):
        assert publisher.domain_events([domain.read(kind, {**SPEC[kind], "user_id": str(user)})] * 2)[1] is False
        publisher.domain_events([event(kind, None), event(kind, chief)])
        received = owner.next()
        seen_by_admin = [admin.next() for _ in range(3)]

        row = domain.TYPES[kind].row
        assert received == {"type": kind, "data": {**SPEC[kind], "id": SPEC[kind][row], "user_id": str(user)}}
        assert seen_by_admin[0] == received
        assert [one["data"]["user_id"] for one in seen_by_admin] == [str(user), None, str(chief)]
        assert [client.quiet() for client in (owner, admin, stranger, elsewhere)] == [[], [], [], []]


def test_an_unpublished_event_makes_no_gap(web, publisher):
    user = uuid4()
    with web.connect(user, "analytics") as client:
        change = {"subject": "leads", "row_id": ID, "changed_at": AT, "user_id": str(user)}
        publisher.domain_events([domain.read("data_changed", change), event("lead_created", user)])

        assert client.next()["type"] == "lead_created"
        assert client.quiet() == []


def test_a_notification_is_sent_enveloped_to_topic_subscribers_and_flat_to_other_sockets_of_the_user(web, publisher):
    user = uuid4()
    with web.connect(user, "notifications") as asked, web.connect(user, "notifications") as not_asked:
        _, snapshot = subscribed(asked, f"user:{user}")
        received = notification(user)
        publisher.domain_events([received])
        envelope, flat = asked.next(), not_asked.next()

        assert snapshot["data"] == {"items": [], "unread_count": 0}
        assert (envelope["type"], envelope["channel"], envelope["topic"]) == ("event", "notifications", f"user:{user}")
        assert envelope["seq"] == snapshot["seq"] + 1
        assert {**envelope["data"], "notification_id": envelope["data"]["id"], "user_id": str(user)} == {
            **flat["data"],
            "id": flat["data"]["notification_id"],
        }
        assert asked.quiet() == not_asked.quiet() == []


def test_an_administrator_who_follows_a_user_receives_each_notification_once(web, publisher):
    user = uuid4()
    with web.connect(uuid4(), "notifications", claims={"role": "admin"}) as admin:
        subscribed(admin, f"user:{user}")
        publisher.domain_events([notification(user), notification(uuid4())])

        assert [admin.next()["type"], admin.next()["type"]] == ["event", "notification_created"]
        assert admin.quiet() == []


def test_unread_notifications_are_the_snapshot_and_history_closes_a_gap(web, publisher):
    user = uuid4()
    unread = [{"id": str(uuid4()), "title": "Old"}]
    (web.folder / "unread").write_text(json.dumps(unread))
    try:
        with web.connect(user, "notifications") as client:
            response, snapshot = subscribed(client, f"user:{user}")
    finally:
        (web.folder / "unread").unlink()
    sent = [notification(user, title=f"n{n}") for n in range(3)]
    publisher.domain_events(sent)
    with web.connect(user, "notifications") as client:
        back = subscribed(client, f"user:{user}", since=response["seq"], epoch=response["epoch"])
        titles = [client.next()["data"]["title"] for _ in sent]
        lost = subscribed(client, f"user:{user}", since=response["seq"], epoch="another")

    assert snapshot["data"] == {"items": unread, "unread_count": 1}
    assert (back[-1]["recovered"], titles) == (True, ["n0", "n1", "n2"])
    assert (lost[-2]["recovered"], lost[-1]["seq"]) == (False, 3)


def test_a_fresh_token_with_another_role_changes_the_events(web, publisher):
    user, other = uuid4(), uuid4()
    (web.folder / "figures").write_text("[]")
    with web.connect(user, "analytics", claims={"role": "admin"}) as client:
        subscribed(client, "lead_trends")
        client.send(type="auth", token=token(user))
        assert client.until(code="INVALID_TOPIC")[-1]["topic"] == "lead_trends"
        assert client.quiet() == []  # the feed follows the role before the next message is read
        publisher.domain_events([event("lead_created", other), event("message_created", user)])
        assert client.next()["type"] == "message_created"
        client.send(type="auth", token=token(user, role="admin"))
        client.until(type="authenticated")
        client.quiet()
        publisher.domain_events([event("lead_created", other)])
        assert client.next()["type"] == "lead_created"
        assert client.quiet() == []


def figures_are(web: Web, value: Any) -> None:
    (web.folder / "figures.new").write_text(json.dumps(value))
    (web.folder / "figures.new").rename(web.folder / "figures")


def computed(web: Web) -> list[str]:
    path = web.folder / "computed"
    return path.read_text().splitlines() if path.exists() else []


def test_changed_figures_are_published_and_computed_once_for_all_subscribers(web, publisher):
    user = uuid4()
    figures_are(web, [{"date": "2026-01-31", "value": 1}])
    weekly = {"aggregation": "weekly", "start_date": "2026-01-01", "end_date": "2026-01-31"}
    clients = [web.connect(user, "analytics") for _ in range(5)]
    for client in clients:
        _, snapshot = subscribed(client, "lead_trends", params=weekly)
        assert snapshot["data"] == [{"date": "2026-01-31", "value": 1}]
        assert (snapshot["channel"], snapshot["topic"]) == ("analytics", "lead_trends")
    figures_are(web, [{"date": "2026-01-31", "value": 2}])
    before = computed(web).count(f"{user} weekly")
    publisher.domain_events([event("lead_created", user)])
    for client in clients:
        received = client.until(type="event")
        assert [frame["type"] for frame in received] == ["lead_created", "event"]
        assert received[-1]["data"] == [{"date": "2026-01-31", "value": 2}]
        assert received[-1]["topic"] == "lead_trends"

    assert computed(web).count(f"{user} weekly") == before + 1
    # Unchanged figures are not published again, and another user's changes affect none of these.
    publisher.domain_events(
        [event("lead_created", user), event("lead_created", uuid4()), event("message_created", user)]
    )
    until_computed(web, f"{user} weekly", before + 2)
    assert [[frame["type"] for frame in client.quiet()] for client in clients] == [
        ["lead_created", "message_created"]
    ] * 5
    for client in clients:
        client.connection.close()
    web.until_state(sockets=0, members=0)


def until_computed(web: Web, line: str, times: int) -> None:
    until(lambda: computed(web).count(line) >= times, saw=lambda: computed(web))


def following(web: Web, who: UUID | None, topic: str, day: int) -> Client:
    """A client that subscribed to the figures from this day of January on."""
    client = web.connect(who, "analytics")
    client.send(type="subscribe", topic=topic, params={"start_date": f"2026-01-{day:02}", "end_date": "2026-02-01"})
    return client


@contextmanager
def computations_blocked(web: Web) -> Iterator[None]:
    """Block the computations until the end of the block."""
    path = web.folder / "held"
    path.touch()
    try:
        yield
    finally:
        path.unlink()


def test_the_first_figures_of_one_user_are_computed_two_at_a_time(web):
    figures_are(web, [])
    one, other = uuid4(), uuid4()
    with ExitStack() as closing:
        with computations_blocked(web):
            clients = [closing.enter_context(following(web, one, "kpis", day)) for day in range(1, 7)]
            until_computed(web, f"{one} daily", FIRST_AT_ONCE)
            clients.append(closing.enter_context(following(web, other, "kpis", 1)))
            until_computed(web, f"{other} daily", 1)
            assert computed(web).count(f"{one} daily") == FIRST_AT_ONCE
        for client in clients:
            client.until(type="subscribed")
    web.until_state(sockets=0, members=0)


def test_one_users_changed_figures_are_computed_before_the_rest_of_another_users(web, publisher):
    figures_are(web, [])
    one, other = uuid4(), uuid4()
    with ExitStack() as closing:
        for who, day in [*((one, day) for day in range(1, 20)), (other, 1)]:
            client = closing.enter_context(following(web, who, "lead_trends", day))
            client.until(type="subscribed")
        before = len(computed(web))
        with computations_blocked(web):
            publisher.domain_events([event("lead_created", one)])
            until(lambda: len(computed(web)) == before + COMPUTERS, saw=lambda: computed(web))
            publisher.domain_events([event("lead_created", other)])
            client.until(type="lead_created")
        until(lambda: f"{other} daily" in computed(web)[before:], saw=lambda: computed(web)[before:])

        assert computed(web)[before:].index(f"{other} daily") < 2 * COMPUTERS
    web.until_state(sockets=0, members=0)


def test_the_limit_of_figures_counts_all_sockets_of_a_user(web, publisher):
    figures_are(web, [])
    user, other = uuid4(), uuid4()
    topics = ("kpis", "lead_trends", "conversation_trends")
    clients = []

    def follow(who, topic, day):
        client = following(web, who, topic, day)
        clients.append(client)
        while (frame := client.next())["type"] not in ("subscribed", "error"):
            pass
        return client, frame

    followed = [follow(user, topics[number % 3], 1 + number // 3) for number in range(20)]
    assert {frame["type"] for _, frame in followed} == {"subscribed"}

    refused, frame = follow(user, "kpis", 20)
    assert (frame["type"], frame["code"], frame["topic"]) == ("error", "RATE_LIMITED", "kpis")
    # The same figures again are shared, others' are their own, and one less makes room.
    assert follow(user, "kpis", 1)[1]["type"] == "subscribed"
    assert follow(other, "kpis", 20)[1]["type"] == "subscribed"
    followed[4][0].send(type="unsubscribe", topic=topics[1])
    followed[4][0].until(type="unsubscribed")
    assert follow(user, "kpis", 20)[1]["type"] == "subscribed"
    assert {follow(None, topics[number % 3], 1 + number // 3)[1]["type"] for number in range(21)} == {"subscribed"}
    assert refused.quiet() == []
    for client in clients:
        client.connection.close()
    web.until_state(sockets=0, members=0)


def test_two_processes_that_follow_the_same_figures_compute_them_once(server, web, publisher, tmp_path):
    user = uuid4()
    figures_are(web, [])
    with Web(server.url, tmp_path) as second:
        figures_are(second, [])
        with web.connect(user, "analytics") as here, second.connect(user, "analytics") as there:
            for client in (here, there):
                subscribed(client, "kpis")
            before = computed(web).count(f"{user} daily") + computed(second).count(f"{user} daily")
            for one in (web, second):
                figures_are(one, [{"value": 7}])
            publisher.domain_events([event("subscription_created", user)])
            received = [client.until(type="event")[-1] for client in (here, there)]

        assert received[0] == received[1]
        assert computed(web).count(f"{user} daily") + computed(second).count(f"{user} daily") == before + 1
        assert second.errors() == ""


def test_a_change_without_subscribers_is_sent_on_a_resume(web, publisher):
    user = uuid4()
    figures_are(web, [1])
    with web.connect(user, "analytics") as client:
        response, _ = subscribed(client, "conversation_trends")
    web.until_state(members=0)
    figures_are(web, [2])
    publisher.domain_events([event("message_created", user)])
    with web.connect(user, "analytics") as client:
        back = subscribed(client, "conversation_trends", since=response["seq"], epoch=response["epoch"])
        assert back[-1]["recovered"] is True
        assert client.next()["data"] == [2]


def test_figures_that_cannot_be_computed_are_unavailable_until_they_can(web, publisher):
    user = uuid4()
    (web.folder / "figures").unlink(missing_ok=True)
    with web.connect(user, "analytics") as client:
        client.send(type="subscribe", topic="kpis")
        assert client.next()["code"] == "UNAVAILABLE"
        figures_are(web, {"total_leads": 1})
        subscribed(client, "kpis")
        (web.folder / "figures").unlink()
        publisher.domain_events([event("lead_created", user)])
        client.until(type="lead_created")
        until_computed(web, f"{user} daily", 3)
        figures_are(web, {"total_leads": 2})
        assert client.next()["data"] == {"total_leads": 2}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"start_date": "yesterday"}, "params.start_date"),
        ({"start_date": 5}, "params.start_date"),
        ({"end_date": "2026-13-01"}, "params.end_date"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "params.end_date"),
        ({"start_date": "2001-01-01", "end_date": "2026-01-01"}, "params.end_date"),
        ({"aggregation": "hourly"}, "params.aggregation"),
        ({"time_zone": "Mars/Phobos"}, "params.time_zone"),
        ({"user_id": ID}, "params.user_id"),
        ({"x" * 5000: 1}, "params.xxx"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_range_of_days_is_refused_with_its_parameter(web, params, said):
    with web.connect(uuid4(), "analytics") as client:
        client.send(type="subscribe", topic="lead_trends", params=params)
        response = client.next()

    assert (response["type"], response["code"], response["topic"]) == ("error", "BAD_REQUEST", "lead_trends")
    assert response["message"].startswith(said)
    assert len(response["message"]) < 400


@pytest.mark.parametrize("changes", [{"lead_id": "x"}, {"more": 1}, {"lead_id": None}, {"created_at": "soon"}], ids=str)
def test_an_invalid_event_is_refused(changes):
    with pytest.raises(ValueError, match="LeadCreated"):
        event("lead_created", None, **changes)
