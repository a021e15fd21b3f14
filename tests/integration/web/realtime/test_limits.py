"""Limits of a socket and of a caller: just below, just above, and the error."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import WebSocketException

from pixelbloom.events.publisher import Publisher
from tests.integration.web.realtime.stories import subscribed
from tests.servers.raw import Raw, frame
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Client, Web, dial, token
from tests.waiting import SECONDS

PING = b'{"type":"ping"}'
MESSAGE_BYTES = 1_000


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    limits = {
        "sockets_per_user": 3,
        "subscriptions": 2,
        "message_bytes": MESSAGE_BYTES,
        "frames_at_once": 20,
        "frames_per_second": 0.001,
        "close_seconds": 0.5,
    }
    with Web(server.url, tmp_path_factory.mktemp("web"), limits=limits) as web:
        yield web
        assert web.errors() == ""


def padded(size: int) -> bytes:
    """Return a ping of so many bytes, in two-byte characters."""
    room = size - len(b'{"type":"ping","p":""}')
    return b'{"type":"ping","p":"' + ("ż" * (room // 2) + "x" * (room % 2)).encode() + b'"}'


def test_a_closed_socket_makes_room_below_the_users_limit(web):
    user = uuid4()
    clients = [web.connect(user, channel) for channel in ("workflows", "analytics", "notifications")]
    with web.connect(user) as refused:
        code, reason, frames = refused.closed()
    assert (code, [frame["code"] for frame in frames]) == (1013, ["RATE_LIMITED"])
    assert "3" in frames[0]["message"]
    assert frames[0]["message"] == reason
    clients.pop().connection.close()
    web.until_state(sockets=2)
    with web.connect(user) as allowed:
        assert allowed.quiet() == []
    for client in clients:
        client.connection.close()
    web.until_state(sockets=0)


def test_sockets_opened_at_once_are_counted(server, tmp_path):
    """Each waits for Redis before it is open."""
    user = uuid4()
    with Web(server.url, tmp_path / "web", limits={"sockets_per_user": 3}) as web:
        path = web.url(token=token(user)).partition(str(web.port))[2]
        peers = [socket.create_connection(("127.0.0.1", web.port), timeout=SECONDS) for _ in range(12)]
        server.freeze()
        for peer in peers:
            peer.sendall(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
        web.until_state(closes={"1013": 9})  # while the first three are not open yet
        server.thaw()
        assert web.until_state(sockets=3)["closes"] == {"1013": 9}
        for peer in peers:
            peer.close()
        web.until_state(sockets=0)


def test_a_service_may_open_more_than_a_user(web):
    clients = [web.connect() for _ in range(5)]
    for client in clients:
        assert client.quiet() == []
        client.connection.close()


def test_a_full_process_refuses_sockets_with_an_error(server, tmp_path):
    with Web(server.url, tmp_path / "web", limits={"sockets": 2}) as web:
        with web.connect(uuid4()), web.connect(uuid4()), web.connect(uuid4()) as third:
            code, _, frames = third.closed()
        assert (code, [frame["code"] for frame in frames]) == (1013, ["UNAVAILABLE"])
        assert httpx.get(f"{web.base}/slow?seconds=0", timeout=SECONDS).json() == {"done": True}


def test_open_sockets_do_not_use_http_connections(server, tmp_path):
    """gunicorn's worker_connections bounds requests; were sockets counted, so many of them would stop the API."""
    arguments = "--worker-connections 10"
    with Web(server.url, tmp_path / "web", GUNICORN_CMD_ARGS=arguments) as web:
        clients = [web.connect(uuid4()) for _ in range(25)]
        assert httpx.get(f"{web.base}/slow?seconds=0", timeout=SECONDS).json() == {"done": True}
        for client in clients:
            assert client.quiet() == []
            client.connection.close()


def test_a_topic_may_be_resubscribed_and_an_unsubscribed_one_makes_room(web, server):
    user = uuid4()
    runs = [SomeRun(user) for _ in range(3)]
    Publisher(server.client).run_updates([run.state("queued") for run in runs])
    with web.connect(user) as client:
        for run in (runs[0], runs[1], runs[1]):
            subscribed(client, run)
        client.send(type="subscribe", topic=runs[2].topic)
        response = client.next()
        assert (response["code"], response["topic"]) == ("BAD_REQUEST", runs[2].topic)
        assert "2 subscriptions" in response["message"]
        client.send(type="unsubscribe", topic=runs[0].topic)
        client.until(type="unsubscribed")
        subscribed(client, runs[2])


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(("size", "code"), [(MESSAGE_BYTES, 1000), (MESSAGE_BYTES + 1, 1009)])
def test_the_message_limit_counts_the_bytes_of_all_fragments(web, pieces, size, code):
    message = padded(size)
    assert len(message) == size
    raw = Raw(web)
    cut = size // pieces + 1
    parts = [message[start : start + cut] for start in range(0, size, cut)]
    for n, part in enumerate(parts):
        raw.send(frame(part, opcode=0 if n else 1, fin=n == len(parts) - 1))
    if code == 1000:
        assert raw.responses() == [{"type": "pong"}]
    else:
        assert raw.close_code() == code
    raw.socket.close()


def test_a_burst_of_frames_is_bounded(web):
    allowed, too_many = Raw(web), Raw(web)
    allowed.send(frame(PING) * 19)
    assert len(allowed.responses()) == 19  # and the close frame
    too_many.send(frame(PING) * 21)
    assert too_many.close_code() == 1013
    allowed.socket.close()
    too_many.socket.close()


def test_a_steady_rate_of_frames_is_allowed(server, tmp_path):
    limits = {"frames_at_once": 5, "frames_per_second": 1_000_000}
    with Web(server.url, tmp_path / "web", limits=limits) as web, web.connect(uuid4()) as client:
        for _ in range(100):
            assert client.quiet() == []


@pytest.mark.parametrize(
    "params",
    [
        [],
        "x",
        1,
        {"nonsense": 1},
        {"aggregation": "hourly"},
        {"aggregation": ["daily"]},
        {"start_date": "yesterday"},
        {"start_date": 1e300},
        {"start_date": {"$gt": ""}},
        {"start_date": "2024-02-01", "end_date": "2024-01-01"},
        {"start_date": "0001-01-01", "end_date": "9999-12-31"},
        {"x" * 800: 1},
        {"end_date": [[[[[[[[]]]]]]]]},
    ],
    ids=range(13),
)
def test_unknown_topic_parameters_are_reported_and_the_socket_stays(web, params):
    with web.connect(uuid4(), "analytics") as client:
        client.send(type="subscribe", topic="kpis", params=params)
        response = client.next()
        assert (response["type"], response["code"], response["topic"]) == ("error", "BAD_REQUEST", "kpis")
        assert len(response["message"]) < 400
        assert client.quiet() == []
        assert web.state()["topics"] == 1  # its user's own feed


def test_a_peer_that_sends_endlessly_delays_nobody(server, tmp_path):
    """What comes after its mistake is read and thrown away until its time is over."""
    with Web(server.url, tmp_path / "web", limits={"close_seconds": 60}) as web, web.connect(uuid4()) as client:
        ended: list[int] = []

        def flood(raw: Raw) -> None:
            raw.send(frame(b"abc", masked=False))
            noise = os.urandom(4 * 1024 * 1024)
            try:
                while True:
                    raw.socket.sendall(noise)
            except OSError:
                ended.append(1)

        raws = [Raw(web) for _ in range(3)]
        threads = [threading.Thread(target=flood, args=(raw,)) for raw in raws]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert client.quiet() == []
        assert ended == [], "the others were served only when the flood was over"
        for raw in raws:
            raw.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        for raw in raws:
            raw.socket.close()
        web.until_state(sockets=1)
        assert web.errors() == ""


def test_no_log_line_has_a_token(server, tmp_path):
    """At any level, and for requests that fail in any way."""
    good, fresh, expired = token(uuid4()), token(uuid4()), token(uuid4(), expires_in=-60)
    with Web(server.url, tmp_path / "web") as web:
        for bearer in (good, expired, good[:-3] + "AAA", "opaque-token-value-0123456789"):
            for url, options in (
                (web.url(token=bearer), {}),
                (web.url(), {"additional_headers": {"Authorization": f"Bearer {bearer}"}}),
                (web.url(), {"subprotocols": ["pixelbloom", bearer]}),
                (web.url(), {"subprotocols": ["pixelbloom", f"bearer.{bearer}"]}),
                (web.url("nonsense", token=bearer), {}),
            ):
                try:
                    with Client(dial(url, **options)) as client:
                        client.send(type="auth", token=fresh)
                        client.connection.send('{"type":"auth","token":"' + fresh)
                        client.send(type="subscribe", topic=fresh)
                        client.connection.close()
                except (WebSocketException, OSError, EOFError):
                    pass  # refused: the log is what counts
            for head in (
                f"GET /api/ws/workflows?token={bearer} HTTP/9.9\r\n",
                f"GET /api/ws/workflows?token={bearer}\r\n",
                f"G@T /api/ws/workflows?token={bearer} HTTP/1.1\r\n",
                f"GET /api/ws/workflows?token={bearer} HTTP/1.1\r\nAuthorization: Bearer {bearer}\x00\r\n",
                f"GET /api/ws/workflows?token={bearer} HTTP/1.1\r\nAuthorization : Bearer {bearer}\r\n",
                f"GET /api/ws/workflows?token={bearer} HTTP/1.1\r\nSec-WebSocket-Protocol: é, {bearer}\r\n",
                f"GET /api/ws/workflows?token={bearer} HTTP/1.1\r\nBearer {bearer}\r\n",
                f"GET /api/ws/workflows?token={bearer}",
            ):
                with socket.create_connection(("127.0.0.1", web.port), timeout=SECONDS) as peer:
                    peer.sendall(head.encode() + b"\r\n")
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
        web.until_state(sockets=0)
    text = web.log.read_text()

    assert text.count("/api/ws/workflows") >= 16, "requests are logged"
    for secret in (good, fresh, expired):
        for part in (*secret.split("."), secret[:40]):
            assert part not in text
    assert "opaque-token" not in text
    assert not re.search(r"\?token=(?!\[redacted\])", text), "an access line has its query"
