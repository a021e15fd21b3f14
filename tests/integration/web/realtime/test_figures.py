"""Figures over the sockets: published when they change, computed once for all subscribers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from pixelbloom.web.realtime.figures import COMPUTERS, FIRST_AT_ONCE
from tests.integration.web.realtime.domain import ID, event, subscribed
from tests.servers.web import Client, Web
from tests.waiting import until


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
