"""Subscribing: which topics a socket may follow, how many, and again."""

import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.integration.web.realtime.stories import subscribed
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import until


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(server.url, tmp_path_factory.mktemp("web"), limits={"subscriptions": 5}) as web:
        yield web
        assert web.errors() == ""


def test_another_users_sockets_receive_nothing_of_a_run(web, publisher):
    run = SomeRun(uuid4())
    with web.connect(uuid4()) as stranger, web.connect(run.user_id) as owner:
        publisher.run_update(run.state("queued"))
        assert owner.next()["type"] == "workflow_status_update"
        assert stranger.quiet() == []


def test_another_users_run_and_one_that_does_not_exist_look_the_same_and_the_socket_stays(web, publisher):
    run, nothing = SomeRun(uuid4()), SomeRun()
    publisher.run_update(run.state("queued"))
    stored = SomeRun(uuid4())
    stored.store(web.folder, stored.state("queued"))
    with web.connect(uuid4()) as stranger:
        responses = []
        for topic in (run.topic, nothing.topic, stored.topic):
            stranger.send(type="subscribe", topic=topic)
            responses.append({**stranger.next(), "topic": "*"})

        assert responses[0]["code"] == "INVALID_TOPIC"
        assert responses[0] == responses[1] == responses[2]
        assert stranger.quiet() == []


def test_administrators_and_services_may_follow_every_run(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with web.connect(uuid4(), claims={"role": "admin"}) as admin, web.connect() as service:
        for client in (admin, service):
            assert subscribed(client, run)[1]["data"]["status"] == "running"


@pytest.mark.parametrize(
    "topic",
    [
        "nonsense",
        "workflow_run:abc123",
        "workflow_run:",
        "lead_trends",
        "kpis",
        "user:812ee4be-d17d-4004-9d1e-cdceb3401e9d",
        "workflow_run",
        "⚡",
    ],
)
def test_a_topic_that_this_channel_does_not_have_is_invalid_and_the_socket_stays(web, topic):
    with web.connect(uuid4()) as client:
        for kind in ("subscribe", "unsubscribe"):
            client.send(type=kind, topic=topic)
            response = client.next()
            assert (response["type"], response["code"], response["topic"]) == ("error", "INVALID_TOPIC", topic)
        assert client.quiet() == []


def test_the_notifications_channel_has_the_users_own_topic_and_no_other(web):
    user = uuid4()
    with web.connect(user, "notifications") as client:
        client.send(type="subscribe", topic=f"user:{user}")
        assert [client.next()["type"], client.next()["data"]] == ["subscribed", {"items": [], "unread_count": 0}]
        client.send(type="subscribe", topic=f"user:{uuid4()}")
        assert client.next()["code"] == "INVALID_TOPIC"


def test_a_topic_above_the_limit_is_refused_with_the_number(web, publisher):
    user = uuid4()
    runs = [SomeRun(user) for _ in range(6)]
    publisher.run_updates([run.state("queued") for run in runs])
    with web.connect(user) as client:
        for run in runs[:5]:
            subscribed(client, run)
        client.send(type="subscribe", topic=runs[5].topic)
        response = client.next()

    assert (response["code"], response["topic"]) == ("BAD_REQUEST", runs[5].topic)
    assert "5 subscriptions" in response["message"]


def test_subscribing_again_gives_a_fresh_snapshot_and_no_event_twice(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("queued"))
    with web.connect(run.user_id) as client:
        subscribed(client, run)
        subscribed(client, run)
        publisher.run_update(run.state("running"))

        assert [client.next()["seq"], client.quiet()] == [2, []]
        assert web.state()["members"] >= 2


def test_disconnected_clients_are_cleaned_up(web, publisher):
    runs = [SomeRun(uuid4()) for _ in range(20)]
    publisher.run_updates([run.state("queued") for run in runs])
    before = web.until_state(sockets=0, members=0)
    for n in range(60):
        run = runs[n % 20]
        client = web.connect(run.user_id)
        client.send(type="subscribe", topic=run.topic)
        if n % 3 == 0:
            client.next()
        if n % 2:
            client.connection.socket.shutdown(socket.SHUT_RDWR)  # no close frame, no waiting for the response
        else:
            client.connection.close()

    def cleaned_up() -> bool:
        after = web.until_state(sockets=0, members=0, topics=0)
        return all(after[name] <= before[name] + 4 for name in ("greenlets", "files"))

    until(cleaned_up, saw=lambda: (before, web.state()))
