"""Random invalid conversations: each ends as RFC 6455 says, and the process is idle afterwards.

FUZZ_SEED and FUZZ_CASES play others, and more of them.
"""

import contextlib
import json
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from pixelbloom.events.publisher import Publisher
from tests.integration.web.realtime.stories import subscribed
from tests.servers.raw import Raw, frame
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web, token
from tests.waiting import SECONDS, repeat_until, until

SEED = int(os.environ.get("FUZZ_SEED", "4"))
CASES = int(os.environ.get("FUZZ_CASES", "500"))
#: Sockets at once, each with its own responses.
THREADS = 6
MESSAGE_BYTES = 16 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
#: The codes of RFC 6455 and its registry that an end of a connection may send.
CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}

#: A valid token, and another caller's.
STRANGERS = token(uuid4())

Responses = tuple[str, ...]


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    limits = {"close_seconds": 0.5, "message_bytes": MESSAGE_BYTES, "sockets_per_user": 1_000}
    with Web(server.url, tmp_path_factory.mktemp("web"), limits=limits) as web:
        yield web


# What clients say


def good(rng: random.Random, run: SomeRun) -> tuple[str, Responses]:
    """Return a valid text, and the types of its responses."""
    subscribe = {"type": "subscribe", "topic": run.topic, "params": {"x": "y" * rng.randint(0, 500)}}
    return rng.choice(
        [
            ('{"type":"ping"}', ("pong",)),
            (' \t\r\n{ "type" : "ping" }\n', ("pong",)),
            ('{"type":"nothing","type":"ping"}', ("pong",)),
            ('{"\\u0074ype":"p\\u0069ng","é":"⚡𝄞"}', ("pong",)),
            (json.dumps({"type": "ping", "padding": "ż" * rng.randint(0, 2000)}, ensure_ascii=False), ("pong",)),
            ('{"type":"heartbeat","timestamp":"2023-06-15T12:34:56Z"}', ()),
            ('{"type":"heartbeat","timestamp":[[[{}]]]}', ()),
            (json.dumps(subscribe), ("subscribed", "event")),
            (json.dumps({"type": "unsubscribe", "topic": run.topic}), ("unsubscribed",)),
        ]
    )


def deep(rng: random.Random) -> str:
    depth = rng.choice([200, 1_000, 2_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    return opening * depth + rng.choice(["1", ""]) + closing * rng.choice([depth, 0])


def malformed(rng: random.Random, run: SomeRun) -> tuple[str, Responses]:
    """Return an invalid text, and the possible codes of its error."""
    anything: Any = rng.choice([None, True, -1, 2**63, 2**64, 1.5, 1e308, "", "x" * 999, [], {}, [{}], "\x00", "⚡"])
    bad, topic, either = ("BAD_REQUEST",), ("INVALID_TOPIC",), ("BAD_REQUEST", "INVALID_TOPIC")
    return rng.choice(
        [
            (rng.choice(["", " ", "not json", "nul", "'{}'", '{"type":"ping"', '{"type":"ping"}}', "\ufeff{}"]), bad),
            (rng.choice(["NaN", "Infinity", "-", "01", "1e", '{"type":NaN}', "[1,]", "{,}", '"\\x"', '"\x01"']), bad),
            (deep(rng), bad),
            (json.dumps(anything), bad),
            (json.dumps({"type": anything}), bad),
            ('{"type":' + rng.choice(["1e999", "-1e999", "9" * 400, "0." + "1" * 400]) + "}", bad),
            (
                '{"type":"subscribe","topic":"kpis","since":' + rng.choice(["1e999", "9" * 400, "1e3", "-0.0"]) + "}",
                bad,
            ),
            (json.dumps({"type": "subscribe", "topic": anything}), either),
            (json.dumps({"type": "subscribe", "topic": run.topic, "since": -rng.randint(1, 2**62)}), bad),
            (json.dumps({"type": "subscribe", "topic": run.topic, "params": rng.choice([[], "x", 1, True])}), bad),
            (json.dumps({"type": "subscribe", "topic": run.topic, "epoch": rng.choice([1, "", "e" * 65, {}])}), bad),
            ('{"type":"subscribe","topic":"' + rng.choice(["\\ud800", "\\udc00x", "a\\ud83d\\ud83d"]) + '"}', either),
            ('{"type":"auth","token":"' + rng.choice(["\\ud800", "\\ud83dx"]) + '"}', (*bad, "UNAUTHORIZED")),
            (json.dumps({"type": "unsubscribe", "topic": rng.choice(["kpis", "\x00", "⚡" * 150, ":" * 150])}), topic),
            (json.dumps({"type": "subscribe", "topic": f"workflow_run:{uuid4()}", "since": 3}), topic),
            (json.dumps({"type": "subscribe", "topic": "workflow_run:" + "\u0661" * 36}), topic),
            (
                json.dumps({"type": "auth", "token": rng.choice(["x", "a.b.c", "⚡", STRANGERS])}),
                ("UNAUTHORIZED",),
            ),
        ]
    )


@dataclass
class Conversation:
    """Bytes, and their expected responses."""

    rng: random.Random
    run: SomeRun
    data: bytearray = field(default_factory=bytearray)
    #: For each text of the server its type, or the codes that the error may have.
    responses: list[Responses] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    #: Its possible ends: these codes (None: a close frame without one), or the end of the connection only.
    codes: set[int | None] | None = None
    half_close: bool = False

    def say(self) -> None:
        """One or more messages after which the socket stays open."""
        rng = self.rng
        text, responses = (good if rng.random() < 0.5 else malformed)(rng, self.run)
        one_of = rng.random()
        if one_of < 0.1:
            self.whole(rng.randbytes(rng.randint(0, 300)), BINARY)
            self.responses.append(("BAD_REQUEST",))
            return
        self.whole(text.encode(), TEXT)
        if responses and responses[0].islower():
            self.responses += [(response,) for response in responses]
        elif responses:
            self.responses.append(responses)

    def whole(self, payload: bytes, opcode: int) -> None:
        """A message in one frame or in several, with control frames between."""
        rng = self.rng
        cuts = sorted(rng.randint(0, len(payload)) for _ in range(rng.choice([0, 0, 1, 2, 5])))
        parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for n, part in enumerate(parts):
            self.data += frame(part, opcode=opcode if n == 0 else CONTINUATION, fin=n == len(parts) - 1)
            if rng.random() < 0.2:
                self.pongs.append(rng.randbytes(rng.randint(0, 125)))
                self.data += frame(self.pongs[-1], opcode=PING)
            if rng.random() < 0.1:
                self.data += frame(b"unasked", opcode=PONG)

    def end(self) -> None:
        """Send a frame that ends it."""
        rng = self.rng
        data, self.codes = rng.choice(ENDINGS)(rng)
        self.data += data
        self.half_close = self.codes is None


Ending = tuple[bytes, set[int | None] | None]


def properly(rng: random.Random) -> Ending:
    code = rng.choice([1000, 1001, 1003, 1008, 1011, 3000, 4999])
    return frame(struct.pack("!H", code) + rng.choice([b"", "até logo".encode()]), opcode=CLOSE), {code}


def without_code(rng: random.Random) -> Ending:
    return frame(b"", opcode=CLOSE), {None}


def with_a_code_that_is_none(rng: random.Random) -> Ending:
    code = rng.choice([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535])
    return frame(struct.pack("!H", code), opcode=CLOSE), {1002}


def with_a_bad_close_frame(rng: random.Random) -> Ending:
    return rng.choice(
        [
            (frame(b"\x03", opcode=CLOSE), {1002}),
            (frame(struct.pack("!H", 1000) + b"x" * 124, opcode=CLOSE), {1002}),
            (frame(struct.pack("!H", 1000) + b"\xff\xc0", opcode=CLOSE), {1007}),
            (frame(struct.pack("!H", 1000) + b"ok\xe2\x9a", opcode=CLOSE), {1007}),
            (frame(struct.pack("!H", 1000), opcode=CLOSE, masked=False), {1002}),
            (frame(struct.pack("!H", 1000), opcode=CLOSE, fin=False), {1002}),
        ]
    )


def against_the_framing(rng: random.Random) -> Ending:
    payload = rng.randbytes(rng.randint(0, 60))
    small = bytes([0x80 | len(payload)])
    return (
        rng.choice(
            [
                frame(payload, masked=False),
                frame(payload, rsv=rng.randint(1, 7)),
                frame(payload, rsv=rng.randint(1, 7), opcode=PING),
                frame(payload, opcode=rng.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])),
                frame(payload, opcode=CONTINUATION),
                frame(b"abc", fin=False) + frame(b"abc", opcode=rng.choice([TEXT, BINARY])),
                frame(b"x" * rng.randint(126, 300), opcode=rng.choice([PING, PONG])),
                frame(payload, opcode=rng.choice([PING, PONG]), fin=False),
                b"\x81\xfe" + struct.pack("!H", len(payload)) + b"mask" + payload,  # lengths longer than they need be
                b"\x81\xff" + struct.pack("!Q", len(payload)) + b"mask" + payload,
                b"\x81\xff" + struct.pack("!Q", 2**63 | len(payload)) + b"mask" + payload,
                b"\xf1" + small + b"mask" + payload,
                b"GET /api/ws/workflows HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
            ]
        ),
        {1002},
    )


def with_what_is_not_utf_8(rng: random.Random) -> Ending:
    text = '{"type":"ping","x":"⚡'.encode()
    return (
        rng.choice(
            [
                frame(rng.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\x80"])),
                frame(text[:-1]),  # ends inside a character
                frame(text[:-1], fin=False) + frame(b'"}', opcode=CONTINUATION),
                frame(text[:-2], fin=False) + frame(b"", opcode=CONTINUATION),
                frame(text, fin=False)
                + frame(b"", opcode=CONTINUATION, fin=False)
                + frame(b"\xff", opcode=CONTINUATION),
            ]
        ),
        {1007},
    )


def with_too_much(rng: random.Random) -> Ending:
    opcode = rng.choice([TEXT, BINARY])
    half = frame(b"x" * (MESSAGE_BYTES // 2 + 1), opcode=opcode, fin=False)
    return (
        rng.choice(
            [
                frame(b"x" * (MESSAGE_BYTES + 1), opcode=opcode),
                frame(b"x" * MESSAGE_BYTES * 3, opcode=opcode),
                frame("ż".encode() * (MESSAGE_BYTES // 2 + 1)),
                half + frame(b"x" * MESSAGE_BYTES, opcode=CONTINUATION),
                bytes([0x80 | opcode]) + b"\xff" + struct.pack("!Q", 2**62) + b"mask" + b"mask" * MESSAGE_BYTES,
            ]
        ),
        {1009},
    )


def with_too_many(rng: random.Random) -> Ending:
    return (
        rng.choice(
            [
                frame(b'{"type":"ping"}') * 400,
                frame(b"", opcode=PING) * 400,
                frame(b"") * 400,
                frame(b"", fin=False) + frame(b"", opcode=CONTINUATION, fin=False) * 400,
            ]
        ),
        {1013},
    )


def in_the_middle(rng: random.Random) -> Ending:
    whole = rng.choice([frame(b'{"type":"ping"}'), frame(b"x" * 300, opcode=BINARY), frame(b"bye", opcode=CLOSE)])
    return whole[: rng.randint(0, len(whole) - 1)], None


def with_noise(rng: random.Random) -> Ending:
    data = bytearray(frame(b'{"type":"ping"}') * 5 if rng.random() < 0.5 else rng.randbytes(rng.randint(1, 400)))
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data), None


ENDINGS: list[Callable[[random.Random], Ending]] = [
    properly,
    without_code,
    with_a_code_that_is_none,
    with_a_bad_close_frame,
    against_the_framing,
    against_the_framing,
    with_what_is_not_utf_8,
    with_too_much,
    with_too_many,
    in_the_middle,
    with_noise,
]


def send(raw: Raw, rng: random.Random, data: bytes) -> None:
    """Split into one or more pieces."""
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.choice([0, 0, 1, 3])))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        raw.send(data[start:end])
        if rng.random() < 0.1:
            time.sleep(0.001)


def converse(web: Web, run: SomeRun, seed: int) -> None:
    """One random conversation. Raises AssertionError on an unexpected response."""
    rng = random.Random(seed)
    assert run.user_id is not None
    raw = Raw(web, user=run.user_id)
    try:
        talk = Conversation(rng, run)
        for _ in range(rng.randint(0, 6)):
            talk.say()
        talk.end()
        send(raw, rng, bytes(talk.data))
        if rng.random() < 0.15:  # gone before any response
            raw.reset() if rng.random() < 0.5 else raw.socket.close()
            return
        if talk.half_close:
            with contextlib.suppress(OSError):
                raw.socket.shutdown(socket.SHUT_WR)
        check(talk, raw.frames())
    except AssertionError as error:
        raise AssertionError(f"conversation {seed}: {error}") from error
    finally:
        raw.socket.close()


def check(talk: Conversation, got: list[tuple[int, bytes]]) -> None:
    assert {opcode for opcode, _ in got} <= {TEXT, CLOSE, PONG}
    texts = [json.loads(payload) for opcode, payload in got if opcode == TEXT]
    pongs = [payload for opcode, payload in got if opcode == PONG]
    closes = [payload for opcode, payload in got if opcode == CLOSE]
    said = [text["code"] if text["type"] == "error" else text["type"] for text in texts]
    codes = [struct.unpack("!H", payload[:2])[0] if payload else None for payload in closes]

    assert len(closes) <= 1, codes
    assert not closes or got[-1][0] == CLOSE, "something after the close frame"
    for payload in closes:
        payload[2:].decode()
    if talk.codes is None:  # it may have been anything
        assert all(code is None or code in CODES or 3000 <= code <= 4999 for code in codes), codes
        return
    assert len(codes) == 1, (talk.codes, "no close frame", said)
    assert codes[0] in talk.codes, (talk.codes, codes, said)
    wanted = talk.responses if codes[0] not in CODES - {1000, 1001, 1003, 1008, 1011} else talk.responses[: len(said)]
    if codes[0] == 1013:  # some of the flood got responses
        said, pongs = said[: len(wanted)], pongs[: len(talk.pongs)]
    assert len(said) == len(wanted), (wanted, said)
    for response, allowed in zip(said, wanted, strict=True):
        assert response in allowed, (wanted, said)
    assert pongs == talk.pongs[: len(pongs)]
    if codes[0] in (1000, 1001, None):
        assert len(pongs) == len(talk.pongs)


def handshake(web: Web, run: SomeRun, seed: int) -> None:
    """A request for an upgrade with an error in it, or behind it: an error response, or a socket."""
    rng = random.Random(seed)
    lines = {
        "Host": "x",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    method, version = "GET", "HTTP/1.1"
    path = web.url(rng.choice(["workflows", "analytics", "notifications"]), token=token(run.user_id))
    path = path.partition(str(web.port))[2]
    name = rng.choice(list(lines))
    match rng.randrange(12):
        case 0:
            del lines[name]
        case 1:
            lines[name] = rng.choice(["", "0", "8", "14", "x" * 5_000, "é", "\x00", "a\tb", "dGhl", "13, 8", "🙂"])
        case 2:
            method = rng.choice(["POST", "HEAD", "OPTIONS", "PUT", "get", "G@T", "CONNECT", ""])
        case 3:
            version = rng.choice(["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1.1", ""])
        case 4:
            path = rng.choice(["/api/ws/workflows?token=%ff%00", "/api/ws/workflows?token", "/api/ws/x", "*", "//", ""])
        case 5:
            lines[rng.choice(["Content-Length", "Transfer-Encoding", "Expect"])] = rng.choice(
                ["-1", "5", "99999999", "chunked", "gzip", "100-continue", "nonsense", "1, 2"]
            )
        case 6:
            lines["Sec-WebSocket-Extensions"] = rng.choice(
                ["permessage-deflate; client_max_window_bits=99", "permessage-deflate", ";;;", "x" * 3_000, "a=\x01"]
            )
        case 7:
            lines["Sec-WebSocket-Protocol"] = rng.choice(["", ",", ",,,a", "é", "a b", "x," * 900, "..", "bearer."])
        case 8:
            lines = {f"X-{n}": "x" for n in range(rng.choice([50, 200, 2_000]))} | lines
        case 9:
            lines["Origin"] = rng.choice(["null", "http://[", "http://x:99999999", "", "\x7f", "é" * 100])
        case 10:
            lines["Authorization"] = rng.choice(["Bearer", "Bearer ", "Basic eA==", "\xff", "Bearer " + "x" * 9_000])
        case _:
            pass
    head = f"{method} {path} {version}\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items()) + "\r\n"
    behind = rng.choice(
        [
            b"",
            frame(b'{"type":"ping"}'),
            b"GET /state HTTP/1.1\r\nHost: x\r\n\r\n",
            rng.randbytes(50),
            frame(b'{"type":"ping"}') + frame(b"", opcode=CLOSE),
        ]
    )
    data = head.encode() + behind
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(head))]
    with socket.create_connection(("127.0.0.1", web.port), timeout=SECONDS) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(data)
            if rng.random() < 0.5:
                time.sleep(0.002)
                peer.sendall(frame(b"late") + rng.randbytes(20))
            peer.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionError):
            while received := peer.recv(65536):
                got += received
    status = got.split(b" ", 2)[1] if got.startswith(b"HTTP/") else b""
    assert not got or b"100" <= status < b"500", f"handshake {seed}: {data[:200]!r} {got[:200]!r}"


def attack(web: Web, run: SomeRun, cases: range) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        work = [
            pool.submit(handshake if case % 4 == 3 else converse, web, run, SEED * 1_000_003 + case) for case in cases
        ]
        for one in work:
            one.result(SECONDS)


def test_random_conversations_end_by_the_rfc_and_the_process_is_idle_afterwards(web, server):
    publisher = Publisher(server.client)
    attacked, watched = SomeRun(uuid4()), SomeRun(uuid4())
    publisher.run_updates([attacked.state("running"), watched.state("running")])
    attack(web, attacked, range(60))  # one-time initialization happens now
    rest = web.until_state(sockets=0, members=0, topics=0)

    with web.connect(watched.user_id) as witness, ThreadPoolExecutor(1) as pool:
        subscribed(witness, watched)
        under_way = pool.submit(attack, web, attacked, range(60, 60 + CASES))
        published = 1
        for _ in repeat_until(under_way.done, 2 * SECONDS, saw=web.state):
            publisher.run_deltas([watched.text("x")])
            published += 1
            assert witness.next()["seq"] == published  # served meanwhile
            time.sleep(0.005)
        under_way.result(SECONDS)
        assert witness.quiet() == []

    web.until_state(sockets=0, members=0, topics=0)

    def at_rest() -> bool:
        now = web.state()
        # A busy moment adds connections to the pool to Redis, which stay.
        return now["greenlets"] <= rest["greenlets"] and now["files"] <= rest["files"] + THREADS

    until(at_rest, saw=lambda: (rest, web.state()))
    until(lambda: not server.client.pubsub_channels(), saw=server.client.pubsub_channels)
    after = web.state()
    assert after["memory"] < rest["memory"] + 20_000_000
    assert after["queued"] == 0
    assert server.client.pubsub_numpat() == 0
    assert web.errors() == "", f"seed {SEED}"
