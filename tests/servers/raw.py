"""A WebSocket client that writes arbitrary bytes, and shows every received byte."""

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, Self
from uuid import UUID, uuid4

from tests.servers.web import Web, token
from tests.waiting import SECONDS, Deadline

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(payload: bytes, *, opcode: int = 1, fin: bool = True, masked: bool = True, rsv: int = 0) -> bytes:
    """Return a valid or invalid frame of a client."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit, size = 0x80 if masked else 0, len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


class Raw:
    """A connection that writes arbitrary bytes after a valid handshake.

    It responds to the server's pings while it reads, and hides them; a `silent` one does not respond.
    """

    def __init__(
        self, web: Web, *, user: UUID | None = None, receive_buffer: int | None = None, silent: bool = False
    ) -> None:
        self._silent = silent
        self.socket = socket.socket()
        try:
            self.socket.settimeout(SECONDS)
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.connect(("127.0.0.1", web.port))
            self._upgrade(web, user)
        except BaseException:
            self.socket.close()
            raise

    def _upgrade(self, web: Web, user: UUID | None) -> None:
        path = web.url(token=token(user or uuid4())).partition(str(web.port))[2]
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.socket.recv(4096)
            assert part, received
            received += part
        head, _, rest = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        self._waiting = bytearray(rest)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def each(self) -> Iterator[tuple[int, bytes]]:
        """Every frame until the server ends the connection."""
        yield from self._whole_frames()
        seen = 0
        deadline = Deadline(
            saw=lambda: f"{seen} frames and {bytes(self._waiting[:200])!r}", what="the connection's end"
        )
        while True:
            self.socket.settimeout(deadline.left)
            try:
                frames = self.read()
            except TimeoutError:
                deadline.fail()
            if frames is None:
                assert not self._waiting, "the last frame is not whole"
                return
            seen += len(frames)
            yield from frames

    def read(self) -> list[tuple[int, bytes]] | None:
        """The frames that the next bytes complete. None at the connection's end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self._waiting += data
        return self._whole_frames() if data else None

    def _whole_frames(self) -> list[tuple[int, bytes]]:
        frames = []
        while (found := first_frame(self._waiting)) is not None:
            opcode, payload, size = found
            del self._waiting[:size]
            if opcode != PING:
                frames.append((opcode, payload))
            elif not self._silent:
                self.send(frame(payload, opcode=PONG))
        return frames

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frames(self) -> list[tuple[int, bytes]]:
        return list(self.each())

    def events_until(self, status: str) -> list[dict[str, Any]]:
        """The server's texts up to the state with that status."""
        texts = []
        for opcode, payload in self.each():
            if opcode == TEXT:
                texts.append(json.loads(payload))
                if texts[-1].get("data", {}).get("status") == status:
                    return texts
        raise AssertionError(texts[-1:])

    def reset(self) -> None:
        """Cut the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close_code(self) -> int | None:
        """The code of the server's close frame."""
        closes = [payload for opcode, payload in self.frames() if opcode == CLOSE]
        assert len(closes) == 1, closes
        return struct.unpack("!H", closes[0][:2])[0] if closes[0] else None

    def responses(self) -> list[dict[str, object]]:
        """Close properly, and return the server's frames until then."""
        self.send(frame(struct.pack("!H", 1000), opcode=CLOSE))
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == TEXT]


def first_frame(data: bytearray) -> tuple[int, bytes, int] | None:
    """The first frame's opcode and payload, and its whole size; None where it is not all there."""
    if len(data) < 2:
        return None
    size, start = data[1] & 127, 2
    if size == 126:
        size, start = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(data[2:10], "big"), 10
    if len(data) < start + size:
        return None
    return data[0] & 15, bytes(data[start : start + size]), start + size
