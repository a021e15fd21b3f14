"""Clients that send slowly, or not at all: bounded in time and number, and nobody else waits for them."""

import contextlib
import http.client
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.integration.http import Api
from tests.waiting import SECONDS, repeat_until, until

BY_ADDRESS = 16
CONNECTIONS = 40
#: Less than any deadline of the server for a body: what comes within it was not waited for.
AT_ONCE = 8.0
UNAUTHENTICATED = [
    ("POST", "/api/agents/invoke", 401),
    ("POST", "/api/leads", 401),
    ("POST", "/nothing", 404),
    ("PUT", "/healthz", 405),
    ("DELETE", "/api/agents", 405),
]


@contextmanager
def served(stack: Any, arguments: str = "", **env: str) -> Iterator[Any]:
    handle = stack.start("web", env={"GUNICORN_CMD_ARGS": arguments, **env})
    try:
        yield handle
    finally:
        handle.kill()


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    with served(stack) as handle:
        yield Api(handle.url, None, stack.settings)


def connected(url: str, data: bytes, source: str = "127.0.0.1") -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), SECONDS, source_address=(source, 0))
    connection.sendall(data)
    return connection


def received(connection: socket.socket, seconds: float = SECONDS) -> bytes:
    """Everything up to the end of the connection."""
    connection.settimeout(seconds)
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def received_at_once(url: str, data: bytes) -> bytes:
    """The response to a request whose body does not come. On a busy machine a single try may take longer."""

    def ask() -> bytes:
        with connected(url, data) as connection, contextlib.suppress(TimeoutError):
            return received(connection, AT_ONCE)
        return b""

    return until(ask)


def head(method: str, path: str, *lines: str) -> bytes:
    common = ("Host: x", "Content-Type: application/json")
    return "\r\n".join([f"{method} {path} HTTP/1.1", *common, *lines, "", ""]).encode()


def number(web: Api, name: str) -> int:
    text = web.as_service().get("/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return int(float(line.rpartition(" ")[2]))


def clients_of(process: psutil.Process, url: str) -> int:
    """The number of sockets that the process has open to its clients."""
    port = urlsplit(url).port
    connections = process.net_connections("tcp")
    return sum(each.laddr.port == port and each.status != psutil.CONN_LISTEN for each in connections)


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("method", "path", "status"), UNAUTHENTICATED)
def test_an_error_does_not_wait_for_the_body(web: Api, method: str, path: str, status: int, framing: str) -> None:
    response = received_at_once(web.url, head(method, path, framing) + b"2\r\n")

    first, _, rest = response.partition(b"\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ".encode()), response
    assert b"connection: close" in rest.lower()


def test_a_body_with_a_too_large_length_is_not_read(web: Api) -> None:
    user = web.as_user()
    named = (f"Authorization: Bearer {user.token}", "Content-Length: 10000000")
    response = received_at_once(web.url, head("POST", "/api/agents/invoke", *named))

    assert response.startswith(b"HTTP/1.1 413 "), response
    assert b"connection: close" in response.lower()


def test_the_response_reaches_a_client_that_is_still_sending(web: Api) -> None:
    with connected(web.url, head("POST", "/nothing", "Content-Length: 3000000")) as connection:
        connection.sendall(b" " * 3_000_000)
        response = received(connection)

    assert response.startswith(b"HTTP/1.1 404 "), response
    assert b"NOT_FOUND" in response


def test_the_connection_stays_open_after_a_short_unread_body(web: Api) -> None:
    request = head("POST", "/nothing", "Content-Length: 2") + b"{}"
    with connected(web.url, request + request + head("GET", "/healthz", "Connection: close")) as connection:
        response = received(connection)

    assert (response.count(b"HTTP/1.1 404 "), response.count(b"HTTP/1.1 200 ")) == (2, 1)


def test_a_body_that_drips_is_refused(web: Api) -> None:
    user = web.as_user()
    named = f"Authorization: Bearer {user.token}"
    requests = [
        head("POST", "/api/pricing/quote", "Content-Length: 200") + b"{",
        head("POST", "/api/agents/invoke", named, "Content-Length: 200") + b"{",
        head("POST", "/api/leads", named, "Content-Length: 200") + b"{",
    ]
    with ExitStack() as closing:
        reading = [closing.enter_context(connected(web.url, data)) for data in requests]
        responses = []
        for _ in repeat_until(lambda: not reading):
            readable, _, _ = select.select(reading, [], [], 0.2)
            responses += [received(connection) for connection in readable]
            for connection in readable:
                reading.remove(connection)
            for connection in reading:
                connection.sendall(b" ")
    for response in responses:
        assert response.startswith(b"HTTP/1.1 400 "), response
        assert b"too slowly" in response
        assert b"connection: close" in response.lower()


def test_an_endless_head_closes_the_connection(stack: Any) -> None:
    begun = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    with (
        served(stack, "--keep-alive 2") as handle,
        connected(handle.url, begun) as connection,
        contextlib.suppress(OSError),
    ):
        until(lambda: connection.sendall(b"X-More: 1\r\n"), pause=0.2)


SLOW = {
    "no bytes": b"",
    "heads": b"POST /api/pricing/quote HTTP/1.1\r\nHost: x\r\n",
    "bodies": head("POST", "/api/pricing/quote", "Content-Length: 200") + b"{",
    "idle": head("GET", "/healthz"),
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize(
    ("arguments", "by_address", "most"),
    [("", str(BY_ADDRESS), BY_ADDRESS), (f"--worker-connections {CONNECTIONS}", "0", CONNECTIONS)],
    ids=["of one address", "of all"],
)
def test_slow_clients_are_bounded(stack: Any, slow: bytes, arguments: str, by_address: str, most: int) -> None:
    with served(stack, arguments, CONNECTIONS_PER_ADDRESS=by_address) as handle, ExitStack() as closing:
        web = Api(handle.url, None, stack.settings)
        (process,) = psutil.Process(handle.pid).children()
        for _ in range(most * 4):
            closing.enter_context(connected(handle.url, slow))

        # The address is refused for as long as none of its connections waits: their heads are still being read.
        stack.wait_for(lambda: web.get("/healthz").status_code == 200)
        stack.wait_for(lambda: number(web, "pixelbloom_http_connections") <= most + 1)
        stack.wait_for(lambda: clients_of(process, handle.url) <= most + 2)  # those refused last may still be read
        closing.close()
        stack.wait_for(lambda: number(web, "pixelbloom_http_connections") == 1)


def test_a_new_connection_replaces_the_oldest_of_its_address(stack: Any) -> None:
    with served(stack, CONNECTIONS_PER_ADDRESS="4") as handle, ExitStack() as closing:

        def opened(source: str) -> socket.socket:
            """A connection that waits for its next request."""
            connection = closing.enter_context(connected(handle.url, SLOW["idle"], source))
            assert readable(connection)
            return connection

        neighbour = opened("127.0.0.2")
        first, second, *others = [opened("127.0.0.1") for _ in range(4)]
        others.append(opened("127.0.0.1"))
        assert received(first) == b""
        others.append(opened("127.0.0.1"))
        assert received(second) == b""

        for connection in (neighbour, *others):
            connection.sendall(SLOW["idle"])
            assert readable(connection)


def readable(connection: socket.socket) -> bool:
    """Read the whole response to a request for /healthz."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        response.read()
    return response.status == 200


def test_behind_a_proxy_connections_of_one_address_are_not_bounded(stack: Any) -> None:
    with served(stack, CONNECTIONS_PER_ADDRESS="4", TRUSTED_PROXIES="1") as handle, ExitStack() as closing:
        web = Api(handle.url, None, stack.settings)
        for _ in range(12):
            closing.enter_context(connected(handle.url, SLOW["heads"]))
        stack.wait_for(lambda: number(web, "pixelbloom_http_connections") == 12 + 1)


def test_an_address_with_only_busy_connections_is_refused(stack: Any) -> None:
    with served(stack, CONNECTIONS_PER_ADDRESS="4") as handle, ExitStack() as closing:
        web = Api(handle.url, None, stack.settings)
        user = web.as_user()
        body = b'{"agent_type": "chat_agent", "input": {"message": "How long?"}}'
        named = (f"Authorization: Bearer {user.token}", f"Content-Length: {len(body)}", "Prefer: wait=60")
        for _ in range(3):
            closing.enter_context(connected(handle.url, head("POST", "/api/agents/invoke", *named) + body))
        stack.wait_for(lambda: number(web, "pixelbloom_http_waits") == 3)
        closing.enter_context(connected(handle.url, head("POST", "/api/agents/invoke", *named) + body))
        with connected(handle.url, b"") as refused:
            response = received(refused)

    assert response.startswith(b"HTTP/1.1 429 "), response
    assert b"RATE_LIMITED" in response
