"""The examples for nginx and Caddy, by these programs, and both before a running web tier."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import websocket

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.postgrest import free_port
from tests.deploy.proxies import Caddy, Nginx, Proxy
from tests.integration.http import CHAT
from tests.servers.tls import Authority
from tests.stack import Stack, StartedProcess
from tests.waiting import SECONDS

PROXIES: tuple[type[Proxy], ...] = (Nginx, Caddy)
#: Requests that are sent slowly, at once.
SLOW = 10


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "proxies")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca)


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[StartedProcess]:
    """A web tier without workers: its runs stay queued."""
    started = stack.start("web", env={"TRUSTED_PROXIES": "1", "VISITOR_SESSION_LIMIT": "2/hour"})
    yield started
    started.kill()


@pytest.fixture(scope="module", params=PROXIES, ids=lambda kind: kind.__name__)
def proxy(
    request: pytest.FixtureRequest,
    stack: Stack,
    web: StartedProcess,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    rest = httpx.URL(stack.rest_url).port
    assert rest is not None
    folder = tmp_path_factory.mktemp("proxy")
    with request.param(folder, authority.issue("127.0.0.1"), web.port, rest) as running:
        yield running


@pytest.fixture
def call(proxy: Proxy, tls: ssl.SSLContext) -> Callable[..., httpx.Response]:
    """A request through the proxy."""

    def request(method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, proxy.url + path, verify=tls, trust_env=False, timeout=SECONDS, **options)

    return request


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kind", PROXIES)
def test_the_program_accepts_the_example(kind: type[Proxy], authority: Authority, tmp_path: Path) -> None:
    said = kind(tmp_path, authority.issue("127.0.0.1"), 8000, 3000).verdict()
    assert "[warn]" not in said
    assert '"level":"warn"' not in said


def test_a_socket_passes(proxy: Proxy, stack: Stack, authority: Authority) -> None:
    token = mint_user(stack.settings, uuid4())
    address = f"{proxy.url.replace('https', 'wss')}/api/ws/workflows?token={token}"
    # Not `dial`, which reads and writes in two threads: until Python 3.13 TLS loses what they do at the same time.
    connection = websocket.create_connection(address, SECONDS, sslopt={"ca_certs": str(authority.ca)})
    try:
        connection.send(json.dumps({"type": "ping"}))
        assert json.loads(connection.recv()) == {"type": "pong"}
    finally:
        connection.close()


def statuses(stream: httpx.Response) -> Iterator[str]:
    """The run's status in each event, as it arrives."""
    for line in stream.iter_lines():
        if line.startswith("data: ") and "data" in (frame := json.loads(line.removeprefix("data: "))):
            yield frame["data"]["status"]


def test_events_arrive_while_the_stream_is_open(
    proxy: Proxy, stack: Stack, tls: ssl.SSLContext, call: Callable[..., httpx.Response]
) -> None:
    headers = bearer(mint_user(stack.settings, uuid4()))
    run_id = call("POST", "/api/agents/invoke", json=CHAT, headers=headers).json()["request_id"]
    url = f"{proxy.url}/api/agents/runs/{run_id}/events"
    with httpx.stream("GET", url, headers=headers, verify=tls, trust_env=False, timeout=SECONDS) as stream:
        arriving = statuses(stream)
        first = next(arriving)  # a proxy that buffers would send it with the end of the stream, which is not near
        call("POST", f"/api/agents/runs/{run_id}/cancel", headers=headers).raise_for_status()
        rest = list(arriving)
    assert first == "queued"
    assert rest[-1] == "cancelled"


def test_slow_requests_hold_no_connection_of_the_web_tier(
    proxy: Proxy, stack: Stack, tls: ssl.SSLContext, call: Callable[..., httpx.Response]
) -> None:
    user: UUID = uuid4()
    token = mint_user(stack.settings, user)
    body = json.dumps({**CHAT, "metadata": {"note": "x" * 4000}}).encode()
    head = (
        "POST /api/agents/invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with ExitStack() as opened:
        slow = []
        for _ in range(SLOW):
            plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)
            slow.append(opened.enter_context(tls.wrap_socket(plain, server_hostname="127.0.0.1")))
            slow[-1].sendall(head.encode() + body[:2000])
        # One after the other they share a connection. The first slow ones were read long before the last of these.
        for _ in range(SLOW):
            call("GET", "/healthz").raise_for_status()
        assert proxy.upstream_connections < SLOW
        for each in slow:
            each.sendall(body[2000:])
            received = b""
            while part := each.recv(65536):
                received += part
            assert received.startswith(b"HTTP/1.1 200"), received[:500]
            assert b"request_id" in received


@pytest.mark.usefixtures("redis")
def test_a_client_cannot_choose_the_address_that_limits_count(call: Callable[..., httpx.Response]) -> None:
    headers = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(3)]
    statuses = [call("POST", "/api/visitors/sessions", headers=one).status_code for one in headers]
    assert statuses == [201, 201, 429]


def test_metrics_are_not_public_and_postgrest_is_under_its_path(
    call: Callable[..., httpx.Response], stack: Stack
) -> None:
    key = stack.env["SUPABASE_ANON_KEY"]
    assert call("GET", "/metrics").status_code == 404
    reached = call("HEAD", "/rest/v1/", headers={"apikey": key, **bearer(key)})
    assert reached.status_code == 200
    assert reached.headers["Content-Type"].startswith("application/openapi+json")


def test_a_large_body_is_refused_by_the_api_and_a_larger_one_by_the_proxy(
    call: Callable[..., httpx.Response], stack: Stack
) -> None:
    headers = {**bearer(mint_user(stack.settings, uuid4())), "Content-Type": "application/json"}
    refused = call("POST", "/api/agents/invoke", content=b" " * 1_200_000, headers=headers)
    assert refused.json()["code"] == "PAYLOAD_TOO_LARGE"
    assert call("POST", "/api/agents/invoke", content=b" " * 2_200_000, headers=headers).status_code == 413


@pytest.mark.parametrize("kind", PROXIES)
def test_tokens_of_the_query_are_in_no_log_whether_the_web_tier_is_there_or_not(
    kind: type[Proxy], authority: Authority, tls: ssl.SSLContext, web: StartedProcess, tmp_path: Path
) -> None:
    for place, port in (("there", web.port), ("away", free_port())):
        folder = tmp_path / place
        folder.mkdir()
        with kind(folder, authority.issue("127.0.0.1"), port, free_port()) as proxy:
            url = f"{proxy.url}/api/leads?token=eyJsecret"
            referer = {"Referer": f"{proxy.url}/?token=eyJsecret"}
            status = httpx.get(url, headers=referer, verify=tls, trust_env=False, timeout=SECONDS).status_code
        assert (status >= 500) == (place == "away")
        assert "/api/leads" in proxy.logs
        assert "eyJsecret" not in proxy.logs
