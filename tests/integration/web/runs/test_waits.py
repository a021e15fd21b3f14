"""Requests that wait for a run's end: bounded, and never longer than their client."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.http import CHAT, Api

#: Of 24 connections waits may occupy 12.
CONNECTIONS = 24
BY_PROCESS = 12
BY_USER = 8
#: Much, and less than the 60 s that a wait lasts that nothing ends before.
SOON = 45


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    bounds = {"GUNICORN_CMD_ARGS": f"--worker-connections {CONNECTIONS}", "WAITS_PER_USER": str(BY_USER)}
    handle = stack.start("web", env=bounds)
    yield Api(handle.url, None, stack.settings)
    handle.kill()


def waits(web: Api) -> int:
    text = web.as_service().get("/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith("pixelbloom_http_waits")]
    return int(float(line.rpartition(" ")[2]))


def sent(user: Api, path: str, body: dict[str, Any], prefer: str, extra: bytes = b"") -> socket.socket:
    """A request of which nobody has read the response yet."""
    parts = urlsplit(user.url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SOON)
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nPrefer: {prefer}\r\n\r\n"
    )
    connection.sendall(head.encode() + data + extra)
    return connection


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


INVOKE = ("/api/agents/invoke", CHAT, "wait=60", b"")
WORKFLOW = (
    "/api/agents/workflows/execute",
    {"workflow_id": "lead_intake", "inputs": {"message": "A site for a bakery"}},
    "wait=60",
    b"",
)
PIPELINED = ("/api/agents/invoke", CHAT, "wait=60", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize("hang_up", [socket.socket.close, reset], ids=["closed", "reset"])
@pytest.mark.parametrize("request_", [INVOKE, WORKFLOW, PIPELINED], ids=["invoke", "workflow", "pipelined"])
def test_a_wait_ends_when_its_client_is_gone(
    web: Api, stack: Any, request_: tuple[Any, ...], hang_up: Callable[[socket.socket], None]
) -> None:
    connections = [sent(web.as_user(), *request_) for _ in range(6)]
    stack.wait_for(lambda: waits(web) == 6)

    for connection in connections:
        hang_up(connection)

    stack.wait_for(lambda: waits(web) == 0, seconds=SOON)


def test_a_client_that_half_closes_gets_the_current_state(web: Api, stack: Any) -> None:
    connection = sent(web.as_user(), *INVOKE)
    stack.wait_for(lambda: waits(web) == 1)

    connection.shutdown(socket.SHUT_WR)
    received = b""
    while part := connection.recv(65536):
        received += part
    connection.close()

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"queued"' in received


def test_a_user_past_the_bound_gets_the_current_state_at_once(web: Api, stack: Any) -> None:
    user, other = web.as_user(), web.as_user()
    with ExitStack() as closing:
        for _ in range(BY_USER):
            closing.enter_context(sent(user, *INVOKE))
        stack.wait_for(lambda: waits(web) == BY_USER)

        refused = user.invoke(Prefer="wait=60")
        granted = other.invoke(Prefer="wait=1")

    assert (refused.status_code, refused.json()["status"]) == (200, "queued")
    assert "Preference-Applied" not in refused.headers
    assert granted.headers["Preference-Applied"] == "wait=1"
    stack.wait_for(lambda: waits(web) == 0, seconds=SOON)
    # The slots of the waits that have ended are the user's again.
    assert user.invoke(Prefer="wait=1").headers["Preference-Applied"] == "wait=1"


def test_waits_do_not_use_all_connections(web: Api, stack: Any) -> None:
    with ExitStack() as closing:
        # Most of them are of a service, which has no bound of a user.
        for caller in [web.as_service()] * (BY_USER + 1) + [web.as_user() for _ in range(BY_PROCESS - BY_USER - 1)]:
            closing.enter_context(sent(caller, *INVOKE))
        stack.wait_for(lambda: waits(web) == BY_PROCESS)

        for caller in (web.as_user(), web.as_service()):
            body = {"workflow_id": "lead_intake", "inputs": {"message": "A shop"}, "async": False}
            refused = caller.request("POST", "/api/agents/workflows/execute", json=body, headers={"Prefer": "wait=60"})
            assert (refused.status_code, refused.json()["status"]) == (200, "queued"), refused.text
            assert "Preference-Applied" not in refused.headers
        assert web.get("/healthz").status_code == 200

    stack.wait_for(lambda: waits(web) == 0, seconds=SOON)
