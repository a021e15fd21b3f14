"""Many lean WebSocket clients in one process, so that the server is what is measured."""

import base64
import multiprocessing
import os
import re
import select
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Self

#: What an event carries: the nanoseconds of the monotonic clock at its publication.
STAMP = re.compile(rb"t=(\d{19});")
MARK = b"t=0"
TAIL = 40
SECONDS = 120.0
#: Handshakes under way at once.
AT_ONCE = 50


def stamp() -> str:
    return f"t={time.monotonic_ns():019d};"


def masked(text: bytes) -> bytes:
    """A client's text frame; with a zero mask."""
    head = bytes((0x81, 0x80 | len(text))) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


class Clients:
    """Sockets of one server in a process of their own."""

    def __init__(self, port: int, sockets: Sequence["Plan"]) -> None:
        own, other = multiprocessing.get_context("spawn").Pipe()
        self._pipe = own
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(other, port, list(sockets)))
        self._process.start()

    def ready(self) -> None:
        """Wait until all are connected and greeted."""
        assert self._pipe.poll(SECONDS * 3), "the clients do not connect"
        failure = self._pipe.recv()
        if failure is not None:
            raise RuntimeError(failure)

    def expect(self, events: int, *, timed: bool = True) -> None:
        """Reset, and report when this many events have arrived. Timing each event costs the clients more."""
        self._pipe.send((events, timed))
        assert self._pipe.recv() == "expecting"

    def arrived(self) -> "Arrived":
        """Wait for them. Raises TimeoutError if they do not come."""
        if not self._pipe.poll(SECONDS):
            raise TimeoutError("the events do not come")
        arrived: Arrived = self._pipe.recv()
        return arrived

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


#: The request's path and further headers, and what to say, each with a text of its response (an empty one: listen).
Plan = tuple[str, Sequence[str], Sequence[tuple[bytes, bytes]]]
#: When the last came (monotonic nanoseconds), and how long each took (nanoseconds) where they are timed.
Arrived = tuple[int, Sequence[int]]


def _serve(pipe: Connection, port: int, plans: Sequence[Plan]) -> None:
    try:
        sockets = _open_all(port, plans)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    poll = select.epoll()
    by_number = {sock.fileno(): sock for sock in sockets}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    poll.register(pipe.fileno(), select.EPOLLIN)
    pipe.send(None)
    tails = dict.fromkeys(by_number, b"")
    wanted, timed, seen = 0, True, 0
    took: list[int] = []
    while True:
        for number, _ in poll.poll():
            if number == pipe.fileno():
                (wanted, timed), seen, took = pipe.recv(), 0, []
                pipe.send("expecting")
                continue
            if not timed:
                seen += by_number[number].recv(262_144).count(MARK)
                if seen >= wanted:
                    pipe.send((time.monotonic_ns(), []))
                    wanted, timed = 0, True
                continue
            data = tails[number] + by_number[number].recv(262_144)
            now = time.monotonic_ns()
            end = 0
            for found in STAMP.finditer(data):
                took.append(now - int(found[1]))
                end = found.end()
            tails[number] = data[max(end, len(data) - TAIL) :]
            if data.endswith(b"\x012"):  # Engine.IO asks whether we are there
                by_number[number].sendall(masked(b"3"))
            if wanted and len(took) >= wanted:
                pipe.send((now, took))
                wanted = 0


def _open_all(port: int, plans: Sequence[Plan]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for start in range(0, len(plans), AT_ONCE):
        batch = plans[start : start + AT_ONCE]
        opened = [_connect(port, plan) for plan in batch]
        rest = {sock: _until(sock, b"", b"\r\n\r\n") for sock in opened}
        for step in range(max(len(plan[2]) for plan in batch)):
            waiting = [(sock, plan[2][step]) for sock, plan in zip(opened, batch, strict=True) if step < len(plan[2])]
            for sock, (said, _) in waiting:
                if said:
                    sock.sendall(masked(said))
            for sock, (_, wanted) in waiting:
                rest[sock] = _until(sock, rest[sock], wanted)
        sockets += opened
    return sockets


def _connect(port: int, plan: Plan) -> socket.socket:
    path, headers, _ = plan
    sock = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    return sock


def _until(sock: socket.socket, data: bytes, text: bytes) -> bytes:
    """Read up to a text, and return what follows it."""
    while text not in data:
        more = sock.recv(65_536)
        if not more:
            raise ConnectionError(f"the server ended the connection: {data[-200:]!r}")
        data += more
    return data.partition(text)[2]
