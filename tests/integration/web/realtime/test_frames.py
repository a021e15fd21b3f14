"""Frames of clients, valid and invalid: a response or a close code, never a traceback, and full cleanup."""

import json
import socket
import struct
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers.raw import Raw, frame
from tests.servers.redis import OwnRedis
from tests.servers.web import Web, dial, token
from tests.waiting import SECONDS


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(server.url, tmp_path_factory.mktemp("web"), limits={"close_seconds": 0.5}) as web:
        yield web
        assert web.errors() == ""
        web.until_state(sockets=0, members=0, topics=0)


@pytest.fixture
def raw(web: Web) -> Iterator[Raw]:
    raw = Raw(web)
    yield raw
    raw.socket.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        "1",
        '"ping"',
        "{}",
        '{"type":1}',
        '{"type":"nothing"}',
        '{"type":["ping"]}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","topic":1}',
        '{"type":"subscribe","topic":""}',
        '{"type":"subscribe","topic":"' + "x" * 300 + '"}',
        '{"type":"subscribe","topic":"kpis","params":[]}',
        '{"type":"subscribe","topic":"kpis","since":-1}',
        '{"type":"subscribe","topic":"kpis","since":1.5}',
        '{"type":"subscribe","topic":"kpis","since":true}',
        '{"type":"subscribe","topic":"kpis","since":"7"}',
        '{"type":"subscribe","topic":"kpis","since":99999999999999999999}',
        '{"type":"subscribe","topic":"kpis","epoch":7}',
        '{"type":"unsubscribe"}',
        '{"type":"auth"}',
        '{"type":"auth","token":{}}',
        '{"type":"ping"',
        '{"type":NaN}',
        "[" * 30_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "\ufeff{}",
    ],
)
def test_an_invalid_frame_is_a_bad_request_and_the_socket_stays(web, text):
    with web.connect(uuid4()) as client:
        client.connection.send(text)
        response = client.next()
        assert (response["type"], response["code"]) == ("error", "BAD_REQUEST")
        assert response["message"]
        assert client.quiet() == []


def test_a_binary_frame_is_a_bad_request_and_the_socket_stays(web):
    with web.connect(uuid4()) as client:
        client.connection.send(b'{"type":"ping"}')
        assert client.next()["code"] == "BAD_REQUEST"
        assert client.quiet() == []


@pytest.mark.parametrize("channel", ["analytics", "notifications", "workflows"])
def test_heartbeats_and_pings_work_on_every_channel(web, channel):
    with web.connect(uuid4(), channel) as client:
        client.send(type="heartbeat", timestamp="2023-06-15T12:34:56Z")
        assert client.quiet() == []


def test_a_message_in_many_fragments_with_a_ping_between_them_is_one_message(raw):
    pieces = [b'{"type"', b"", b':"pi', b'ng"}']
    raw.send(frame(pieces[0], fin=False))
    raw.send(frame(pieces[1], opcode=0, fin=False))
    raw.send(frame(b"are you there", opcode=9))
    raw.send(frame(pieces[2], opcode=0, fin=False))
    raw.send(frame(pieces[3], opcode=0))
    raw.send(frame(struct.pack("!H", 1000), opcode=8))

    assert raw.frames() == [(10, b"are you there"), (1, b'{"type":"pong"}'), (8, struct.pack("!H", 1000))]


def test_a_character_split_over_two_fragments_is_whole(raw):
    message = '{"type":"subscribe","topic":"⚡"}'.encode()
    cut = message.index("⚡".encode()) + 1
    raw.send(frame(message[:cut], fin=False) + frame(message[cut:], opcode=0))

    assert raw.responses()[0]["topic"] == "⚡"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"\xff\xfe"), 1007),
        (frame(b'{"type":"\xed\xa0\x80"}'), 1007),
        (frame(b"abc", masked=False), 1002),
        (frame(b"abc", rsv=4), 1002),
        (frame(b"abc", opcode=3), 1002),
        (frame(b"abc", opcode=0), 1002),
        (frame(b"abc", fin=False) + frame(b"abc"), 1002),
        (frame(b"x" * 126, opcode=9), 1002),
        (frame(b"abc", opcode=9, fin=False), 1002),
        (frame(b"\x03", opcode=8), 1002),
        (frame(struct.pack("!H", 1005), opcode=8), 1002),
        (frame(struct.pack("!H", 1000) + b"\xff", opcode=8), 1007),
        (frame(b"x" * 65_537), 1009),
        (frame(b"x" * 40_000, fin=False) + frame(b"x" * 40_000, opcode=0), 1009),
        (frame(b"x" * 65_537, opcode=2), 1009),
        (b"\x81\xff" + struct.pack("!Q", 2**40) + b"mask" + b"x" * 70_000, 1009),
        (b"\x81\xff" + struct.pack("!Q", 2**63) + b"mask", 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
        (frame(b"", opcode=8), None),
        (frame(struct.pack("!H", 3001) + b"bye", opcode=8), 3001),
    ],
    ids=range(20),
)
def test_protocol_violations_close_the_socket_with_the_code_of_the_rfc(raw, data, code):
    raw.send(data)
    raw.socket.shutdown(socket.SHUT_WR) if code is None else None
    assert raw.close_code() == code


def test_a_message_of_the_full_size_is_read(web):
    padding = "x" * (64 * 1024 - len('{"type":"ping","p":""}'))
    with web.connect(uuid4()) as client:
        client.send(type="ping")
        client.next()
        client.connection.send('{"type":"ping","p":"' + padding + '"}')
        assert client.next() == {"type": "pong"}


@pytest.mark.parametrize(
    "flood",
    [frame(b'{"type":"ping"}'), frame(b"", opcode=9), frame(b"", opcode=10)],
    ids=["text", "ping", "pong"],
)
def test_a_client_that_sends_too_many_frames_is_closed_with_1013(raw, flood):
    raw.send(flood * 2_000)
    assert raw.close_code() == 1013


def test_endless_empty_fragments_are_too_many_frames(raw):
    raw.send(frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 2_000)
    assert raw.close_code() == 1013


def test_a_client_that_disconnects_during_a_frame_is_cleaned_up(web):
    for cut in (1, 3, 7, 20):
        raw = Raw(web)
        raw.send(frame(b'{"type":"subscribe","topic":"kpis"}')[:cut])
        raw.socket.close()
    web.until_state(sockets=0, members=0)


def test_another_library_can_connect(web):
    import websocket

    client = websocket.create_connection(web.url(token=token(uuid4())), timeout=SECONDS)
    client.send('{"type":"ping"}')
    assert json.loads(client.recv()) == {"type": "pong"}
    client.ping("x")
    assert client.recv_data_frame(control_frame=True)[0] == websocket.ABNF.OPCODE_PONG
    client.close()


def test_the_order_of_the_specs_javascript_works(web):
    """Connect with the token in the query, subscribe on open, before anything was read."""
    with dial(web.url(token=token(uuid4()))) as client:
        client.send('{ "type": "subscribe", "topic": "workflow_run:abc123" }')
        assert json.loads(client.recv(SECONDS))["code"] == "INVALID_TOPIC"
