"""`/metrics`: its access, and that each number changes as expected, for one process and for several."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from websockets.exceptions import ConnectionClosed

from pixelbloom.auth.mint import mint_user
from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from tests import scrapes
from tests.integration.http import Api, is_error
from tests.integration.web.realtime.stalling import BUFFER_BYTES, PATIENT, fill, stalled
from tests.integration.web.realtime.stories import subscribed
from tests.scrapes import Numbers, read
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.stack import Stack
from tests.waiting import SECONDS, repeat_until, until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(web: Web) -> Numbers:
    response = httpx.get(f"{web.base}/metrics", timeout=SECONDS)
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return read(parse(response.text))


def once(web: Web, holds: Callable[[Numbers], bool]) -> Numbers:
    """Return the scrape after the first that matches: other processes' numbers are up to a second old."""
    return scrapes.once(f"{web.base}/metrics", holds)


@pytest.fixture
def publisher(own_redis: OwnRedis) -> Publisher:
    return Publisher(connect(own_redis.url))


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Api]:
    process = stack.start("web")
    yield Api(process.url, None, stack.settings)
    process.kill()


def test_only_operators_may_read_metrics(api: Api, stack: Stack) -> None:
    is_error(api.get("/metrics"), 401, "UNAUTHORIZED")
    is_error(api.with_token("no.good.token").get("/metrics"), 401, "UNAUTHORIZED")
    assert "administrator" in is_error(api.as_user().get("/metrics"), 403, "FORBIDDEN")["error"]
    admin = api.with_token(mint_user(stack.settings, uuid4(), admin=True))
    for caller in (admin, api.as_service()):
        assert read(parse(caller.get("/metrics").text)).of("web_processes") == 1


def test_an_administrator_by_profile_may_read_metrics(api: Api, db: Any) -> None:
    user = api.as_user()
    db.execute(
        "insert into user_profiles (user_id, role) values (%s, 'admin') "
        "on conflict (user_id) do update set role = 'admin'",
        [user.user_id],
    )
    assert user.get("/metrics").status_code == 200


def test_the_scraper_chooses_the_format(api: Api) -> None:
    operator = api.as_service()
    plain = operator.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert plain.headers["Cache-Control"] == "no-store"
    other = operator.get("/metrics", headers={"Accept": OPENMETRICS})
    assert other.headers["Content-Type"].startswith("application/openmetrics-text; version=")
    assert read(parse_openmetrics(other.text)).of("web_processes") == 1
    assert {family.name for family in parse(plain.text)} >= {
        f"pixelbloom_{name}"
        for name in (
            *("sockets_open", "socket_subscriptions", "frames_sent", "frames_dropped"),
            *("socket_queue_bytes", "socket_closes", "event_relay_seconds", "redis_link_up", "redis_reconnects"),
            *("http_requests", "http_request_duration_seconds"),
        )
    }


def test_requests_count_by_route_method_and_class_of_status(api: Api) -> None:
    def numbers() -> Numbers:
        return read(parse(api.as_service().get("/metrics").text))

    user = api.as_user()
    run = "/api/agents/runs/<run:request_id>"
    before = numbers()
    for _ in range(3):
        user.get(f"/api/agents/runs/{uuid4()}")
    api.get("/nothing/here")
    api.request("BREW", "/healthz")
    after = numbers()

    def rise(name: str, **labels: str) -> float:
        return after.of(name, **labels) - before.of(name, **labels)

    assert rise("http_requests_total", route=run, method="GET", status="4xx") == 3, after
    assert rise("http_request_duration_seconds_count", route=run) == 3
    assert rise("http_requests_total", route="none", method="GET", status="4xx") == 1
    assert rise("http_requests_total", route="none", method="other", status="4xx") == 1
    assert rise("http_requests_total", route="/metrics", method="GET", status="2xx") == 1


def test_sockets_subscriptions_events_frames_and_closes_count(
    own_redis: OwnRedis, publisher: Publisher, tmp_path: Any
) -> None:
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(own_redis.url, tmp_path / "web", limits=PATIENT) as web:
        assert scrape(web).of("sockets_open", channel="workflows") == 0
        client, other = web.connect(run.user_id), web.connect(run.user_id, "notifications")
        subscribed(client, run)
        began = scrape(web)
        for n in range(5):
            publisher.run_deltas([run.text(f"{n} ")])
        publisher.run_update(run.state("completed", 1))
        client.until(status="completed", type="event")
        client.quiet()
        now = scrape(web)

        assert now.of("sockets_open", channel="workflows") == 1
        assert now.of("sockets_open", channel="notifications") == 1
        assert now.of("socket_subscriptions", kind="workflow_run") == 1
        assert now.of("events_received_total", kind="delta") == 5
        assert now.of("frames_sent_total") - began.of("frames_sent_total") == 7  # and the pong
        received = sum(value for (name, _), value in now.items() if name == "pixelbloom_events_received_total")
        assert now.of("event_relay_seconds_count") == received >= 6
        assert now.of("event_relay_seconds_bucket", le="+Inf") == received
        assert 0 < now.of("event_relay_seconds_sum") < SECONDS * received
        assert now.of("redis_link_up") == 1

        client.send(type="unsubscribe", topic=run.topic)
        client.until(type="unsubscribed")
        assert scrape(web).of("socket_subscriptions", kind="workflow_run") == 0
        client.send(type="subscribe", topic=run.topic)
        client.send(type="subscribe", topic=run.topic)
        client.quiet()
        assert scrape(web).of("socket_subscriptions", kind="workflow_run") == 1
        client.connection.close(4000)
        other.connection.socket.shutdown(socket.SHUT_RDWR)
        after = once(web, lambda found: found.of("sockets_open", channel="notifications") == 0)
        after = once(web, lambda found: found.of("sockets_open", channel="workflows") == 0)

        assert after.of("socket_subscriptions", kind="workflow_run") == 0
        assert after.of("socket_closes_total", code="other") == 1
        assert after.of("socket_closes_total", code="1006") == 1
        assert not any(dict(labels).get("route", "").startswith("/api/ws") for _, labels in after)
        assert web.errors() == ""


def test_the_queue_of_a_slow_client_is_measured(own_redis: OwnRedis, publisher: Publisher, tmp_path: Any) -> None:
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"queue_bytes": 100_000, "close_seconds": 1, **PATIENT}
    small = {"WEBSOCKET_SEND_BUFFER": str(BUFFER_BYTES)}
    with Web(own_redis.url, tmp_path / "web", limits=limits, **small) as web, stalled(web, run):
        web.until_state(members=2)
        assert len(fill(web, run, publisher, 20_000)) < 200_000, "the system takes more than the setting allows"
        waiting = once(web, lambda found: found.of("socket_queue_bytes") >= 20_000)
        assert waiting.of("frames_dropped_total", reason="merged") == 0
        for n in range(700):
            publisher.run_deltas([run.text(f"{n:05d} ")])
        once(web, lambda found: found.of("frames_dropped_total", reason="merged") > 200)
        assert scrape(web).of("frames_dropped_total", reason="overflow") == 0
        for _ in range(20):
            publisher.run_deltas([run.text("x" * 20_000)])
        gone = once(web, lambda found: found.of("sockets_open", channel="workflows") == 0)

        assert gone.of("frames_dropped_total", reason="overflow") >= 1
        assert gone.of("socket_closes_total", code="1013") == 1
        once(web, lambda found: found.of("socket_queue_bytes") == 0)
        assert web.errors() == ""


def test_metrics_show_the_loss_and_return_of_redis(own_redis: OwnRedis, tmp_path: Any) -> None:
    with Web(own_redis.url, tmp_path / "web") as web, web.connect(uuid4()):
        found = once(web, lambda found: found.of("redis_link_up") == 1)
        assert found.of("redis_reconnects_total") == 0
        own_redis.kill()
        once(web, lambda found: found.of("redis_link_up") == 0)
        own_redis.start()
        once(web, lambda found: found.of("redis_link_up") == 1 and found.of("redis_reconnects_total") >= 1)


def test_metrics_add_up_processes_and_drop_gauges_of_a_killed_one(
    own_redis: OwnRedis, publisher: Publisher, tmp_path: Any
) -> None:
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(own_redis.url, tmp_path / "web", limits=PATIENT, WEB_CONCURRENCY="2") as web:
        clients, sockets = [], {}
        both = lambda: len(sockets) == 2 and all(sockets.values())  # noqa: E731
        for _ in repeat_until(both, saw=lambda: sockets):
            clients.append(web.connect(run.user_id))
            subscribed(clients[-1], run)
            state = web.state()
            sockets[state["process"]] = state["sockets"]
        everything = len(clients)
        sent = 2 * everything  # each subscription's confirmation and snapshot

        def all_counted(found: Numbers) -> bool:
            return (
                found.of("web_processes") == 2
                and found.of("sockets_open", channel="workflows") == everything
                and found.of("socket_subscriptions", kind="workflow_run") == everything
                and found.of("frames_sent_total") == sent
            )

        once(web, all_counted)
        publisher.run_update(run.state("completed", 1))
        for client in clients:
            client.until(status="completed", type="event")
        once(web, lambda found: found.of("frames_sent_total") == sent + everything)
        received = once(web, lambda found: found.of("event_relay_seconds_count") >= 4).of("event_relay_seconds_count")

        victim = next(iter(sockets))
        os.kill(victim, signal.SIGKILL)
        ended = 0
        once(web, lambda found: found.of("sockets_open", channel="workflows") < everything)
        left = once(web, lambda found: found.of("web_processes") == 2)
        for client in clients:
            try:
                client.quiet()
            except ConnectionClosed:
                ended += 1

        assert 0 < ended < everything
        assert left.of("sockets_open", channel="workflows") == everything - ended
        assert left.of("socket_subscriptions", kind="workflow_run") == everything - ended
        assert scrape(web).of("event_relay_seconds_count") == received  # totals never fall
        for client in clients:
            client.connection.close()


@pytest.mark.parametrize("options", ["", "--preload"])
def test_gunicorn_retains_its_metrics_folder_over_a_reload_and_removes_it_at_the_end(
    own_redis: OwnRedis, tmp_path: Any, options: str
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with Web(own_redis.url, tmp_path / "web", TMPDIR=str(folder), GUNICORN_CMD_ARGS=options) as web:
        (found,) = folder.glob("pixelbloom-metrics-*")
        former = web.state()["process"]
        assert once(web, lambda found: found.of("redis_link_up") == 1).of("web_processes") == 1
        assert web.process is not None
        web.process.send_signal(signal.SIGHUP)
        until(lambda: web.state()["process"] != former)
        once(web, lambda found: found.of("web_processes") == 1)
        assert list(folder.glob("pixelbloom-metrics-*")) == [found]
        web.stop()
        assert web.errors() == ""
    assert list(folder.glob("pixelbloom-metrics-*")) == []
