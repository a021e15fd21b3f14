"""A lean HTTP client in a process of its own: it posts the same request on persistent connections."""

import multiprocessing
import select
import signal
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

#: Seconds without a response after which the load fails.
SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """What to post: a path, a JSON body, and a bearer token where one is needed."""

    path: str
    body: bytes
    token: str = ""

    def encoded(self, port: int) -> bytes:
        """Return the bytes of the request."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Sent:
    """A load that was sent: its start and end (Unix time), the seconds of each response, the client's CPU seconds."""

    began: float
    ended: float
    took: tuple[float, ...]
    cpu: float


class Client:
    """A process that is connected and ready to post this many requests, `at_once` of them in flight.

    Raises RuntimeError if it cannot connect.
    """

    def __init__(self, port: int, request: Request, *, requests: int, at_once: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._path = request.path
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, port, request.encoded(port), requests, at_once), daemon=True
        )
        self._process.start()
        other.close()
        try:
            self._received(SILENCE_SECONDS)
        except BaseException:
            self.close()
            raise

    def send(self, seconds: float) -> Sent:
        """Post all requests.

        Raises TimeoutError after `seconds`, RuntimeError if a response is not a success or a connection ends.
        """
        self._pipe.send(None)
        sent = self._received(seconds)
        assert sent is not None
        return sent

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _received(self, seconds: float) -> Sent | None:
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"{self._path}: the requests took longer than {seconds:.0f} s")
        try:
            outcome: Sent | str | None = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self._path}: the client ended without a result") from None
        if isinstance(outcome, str):
            raise RuntimeError(f"{self._path}: {outcome}")
        return outcome


def split(received: bytes) -> tuple[int, bool]:
    """Return the status of a response, 0 while its head is not complete, and whether all of it was received.

    Raises ValueError if the head has neither a length nor chunks.
    """
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return 0, False
    status, lines = int(head[9:12]), head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        return status, body.endswith(b"\r\n0\r\n\r\n") or body == b"0\r\n\r\n"
    for line in lines:
        if line.startswith(b"content-length:"):
            return status, len(body) >= int(line.partition(b":")[2])
    raise ValueError("a response has no Content-Length")


def _serve(pipe: Connection, port: int, data: bytes, requests: int, at_once: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends it through its parent
    try:
        sockets = [socket.create_connection(("127.0.0.1", port), timeout=SILENCE_SECONDS) for _ in range(at_once)]
        pipe.send(None)
        pipe.recv()
        pipe.send(_post_all(sockets, data, requests))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _post_all(sockets: Sequence[socket.socket], data: bytes, requests: int) -> Sent:
    by_number = {sock.fileno(): sock for sock in sockets}
    poll = select.epoll()
    for sock in sockets:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(sock.fileno(), select.EPOLLIN)
    started: dict[int, float] = {}
    received = dict.fromkeys(by_number, b"")
    took: list[float] = []
    failures: Counter[int] = Counter()
    unsent, used, began = requests, time.process_time(), time.time()
    for number, sock in by_number.items():
        if unsent:
            unsent -= 1
            started[number] = time.perf_counter()
            sock.sendall(data)
    while len(took) < requests:
        ready = poll.poll(SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no response for {SILENCE_SECONDS:.0f} s, after {len(took)}")
        for number, _ in ready:
            more = by_number[number].recv(65_536)
            if not more:
                raise ConnectionError(f"the server closed a connection, after {len(took)} responses")
            received[number] += more
            status, whole = split(received[number])
            if not whole:
                continue
            took.append(time.perf_counter() - started[number])
            if not 200 <= status < 300:
                failures[status] += 1
            received[number] = b""
            if unsent:
                unsent -= 1
                started[number] = time.perf_counter()
                by_number[number].sendall(data)
    ended, used = time.time(), time.process_time() - used
    for sock in sockets:
        sock.close()
    if failures:
        raise RuntimeError(", ".join(f"{count} responses of status {status}" for status, count in failures.items()))
    return Sent(began, ended, tuple(took), used)
