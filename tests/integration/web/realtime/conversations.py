"""Random conversations of a client, with the responses that they may have."""

import contextlib
import json
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.integration.web.realtime.endings import BINARY, CLOSE, CONTINUATION, ENDINGS, PING, PONG, TEXT
from tests.servers.raw import Raw, frame
from tests.servers.runs import SomeRun
from tests.servers.web import Web, token

#: The codes of RFC 6455 and its registry that an end of a connection may send.
CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
#: A valid token, and another caller's.
STRANGERS = token(uuid4())
Responses = tuple[str, ...]


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
