"""Random frames that end a connection, and the codes that they may end with."""

import random
import struct
from collections.abc import Callable

from tests.servers.raw import frame

MESSAGE_BYTES = 16 * 1024
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
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
