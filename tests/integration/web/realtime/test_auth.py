"""Who may open a socket, for how long, and from which pages."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pixelbloom.auth.origins import allows
from pixelbloom.config import Settings
from pixelbloom.events.publisher import Publisher
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import SECRET, Client, Web, token
from tests.waiting import SECONDS

CHANNELS = ("analytics", "notifications", "workflows")


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(server.url, tmp_path_factory.mktemp("web"), limits={"sockets_per_user": 3}) as web:
        yield web
        assert web.errors() == ""
        assert SECRET not in web.log.read_text()
        assert "eyJ" not in web.log.read_text(), "a token was logged"


def open_client(url: str, **options: Any) -> Client:
    return Client(connect(url, open_timeout=SECONDS, **options))


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_token_is_read_from_the_query_the_header_or_the_subprotocols(web, channel):
    bearer = token(uuid4())
    ways: list[tuple[str, dict[str, Any], str | None]] = [
        (web.url(channel, token=bearer), {}, None),
        (web.url(channel), {"additional_headers": {"Authorization": f"Bearer {bearer}"}}, None),
        (web.url(channel), {"additional_headers": {"Authorization": f"bearer  {bearer}"}}, None),
        (web.url(channel), {"subprotocols": ["pixelbloom", bearer]}, "pixelbloom"),
        (web.url(channel), {"subprotocols": ["bearer", f"bearer.{bearer}"]}, "bearer"),
        (web.url(channel), {"subprotocols": [bearer]}, bearer),
    ]
    for url, options, chosen in ways:
        with open_client(url, **options) as client:
            client.send(type="ping")
            assert client.next() == {"type": "pong"}
            assert client.connection.subprotocol == chosen


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"token": ""},
        {"token": "nonsense"},
        {"token": "a.b.c"},
        {"token": token(uuid4(), expires_in=-60)},
        {"token": token(uuid4())[:-3] + "AAA"},
        {"token": "x" * 5000},
    ],
    ids=["missing", "empty", "no JWT", "no JSON", "expired", "bad signature", "long"],
)
def test_without_a_valid_token_the_upgrade_is_accepted_and_closed_1008(web, channel, bad):
    with open_client(web.url(channel, **bad)) as client:
        code, reason, frames = client.closed()

    assert code == 1008
    assert reason
    assert [frame["code"] for frame in frames] == ["UNAUTHORIZED"]


@pytest.mark.parametrize(
    ("channel", "scope"), [("analytics", "analytics:read"), ("notifications", "notifications:read")]
)
def test_a_limited_token_needs_the_scope_of_the_channel(web, channel, scope):
    with web.connect(uuid4(), channel, claims={"scope": ["other:read"]}) as client:
        code, _, frames = client.closed()
        assert (code, frames[0]["code"]) == (1008, "UNAUTHORIZED")
        assert scope in frames[0]["message"]
    with web.connect(uuid4(), channel, claims={"scope": [scope]}) as client:
        assert client.quiet() == []


def test_own_runs_need_no_scope(web, server):
    run = SomeRun(uuid4())
    Publisher(server.client).run_update(run.state("queued"))
    with web.connect(run.user_id, claims={"scope": ["analytics:read"]}) as client:
        client.send(type="subscribe", topic=run.topic)
        assert client.next()["type"] == "subscribed"


def test_a_socket_is_closed_1008_when_its_token_expires(web):
    with web.connect(uuid4(), claims={"expires_in": 10}) as client:
        assert client.quiet() == []
        code, _, frames = client.closed()

    assert code == 1008
    assert [frame["code"] for frame in frames] == ["UNAUTHORIZED"]


def test_a_socket_stays_open_with_a_fresh_token_of_the_same_user(web):
    user = uuid4()
    claims = {"expires_in": 10}
    with web.connect(user, claims=claims) as client, web.connect(user, claims=claims) as without:
        client.send(type="auth", token=token(user, expires_in=600))
        response = client.next()
        assert response["type"] == "authenticated"
        assert response["expires_at"].endswith("Z")
        assert without.closed()[0] == 1008  # the first token has expired
        web.state()
        assert client.quiet() == []


@pytest.mark.parametrize("other", [token(uuid4()), token(), "nonsense"], ids=["another user", "a service", "no token"])
def test_any_other_token_is_refused_and_the_socket_stays_on_its_own(web, other):
    with web.connect(uuid4()) as client:
        client.send(type="auth", token=other)
        assert client.next()["code"] == "UNAUTHORIZED"
        assert client.quiet() == []


def test_a_fresh_token_that_lost_the_scope_ends_the_socket(web):
    user = uuid4()
    with web.connect(user, "analytics") as client:
        client.send(type="auth", token=token(user, scope=[]))
        code, _, frames = client.closed()

    assert code == 1008
    assert frames[-1]["code"] == "UNAUTHORIZED"


def test_a_demoted_administrator_loses_other_users_runs(web, server):
    publisher, run, admin = Publisher(server.client), SomeRun(uuid4()), uuid4()
    publisher.run_update(run.state("queued"))
    with web.connect(admin, claims={"role": "admin"}) as client:
        client.send(type="subscribe", topic=run.topic)
        client.until(snapshot=True)
        client.send(type="auth", token=token(admin))
        client.until(code="INVALID_TOPIC", topic=run.topic)
        publisher.run_update(run.state("running"))
        assert client.quiet() == []


def test_a_socket_above_the_users_limit_is_closed_with_1013(web):
    user = uuid4()
    clients = [web.connect(user) for _ in range(3)]
    with web.connect(user) as client:
        assert client.closed()[0] == 1013
    with web.connect(uuid4()) as client:
        assert client.quiet() == []
    for client in clients:
        client.connection.close()


def test_pages_of_other_origins_are_refused_before_the_upgrade(web):
    for origin, taken in (
        ("http://localhost:5173", True),
        ("https://127.0.0.1", True),
        (f"http://127.0.0.1:{web.port}", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
    ):
        if taken:
            with open_client(web.url(token=token(uuid4())), origin=origin) as client:
                assert client.quiet() == []
        else:
            with pytest.raises(InvalidStatus) as refused:
                open_client(web.url(token=token(uuid4())), origin=origin)
            assert refused.value.response.status_code == 403


def test_named_origins_replace_the_local_ones():
    settings = Settings(cors_origins=("https://app.example.com", "http://other.example:8080"))
    for origin, taken in (
        ("https://app.example.com", True),
        ("https://APP.example.com:443", True),
        ("http://other.example:8080", True),
        ("http://app.example.com", False),
        ("https://app.example.com.evil.example", False),
        ("http://localhost:3000", False),
        ("", False),
        ("https://app.example.com:x", False),
    ):
        assert allows(settings, origin) is taken, origin
    assert allows(settings, "https://api.example.com", host="api.example.com")


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_request_without_an_upgrade_is_a_400(web, channel):
    assert httpx.get(f"{web.base}/api/ws/{channel}", timeout=SECONDS).status_code == 400
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    for headers in (
        {"Sec-WebSocket-Version": "13"},
        {"Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": key},
        {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": "é".encode()},
    ):
        response = httpx.get(
            f"{web.base}/api/ws/{channel}?token={token(uuid4())}",
            headers={"Connection": "Upgrade", "Upgrade": "websocket", **headers},
            timeout=SECONDS,
        )
        assert response.status_code == 400
    assert web.until_state(sockets=0)["members"] == 0


def test_compression_is_not_negotiated(web):
    with web.connect(uuid4(), compression="deflate") as client:
        assert client.connection.protocol.extensions == []
