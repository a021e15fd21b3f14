"""The gateway with network errors: servers that drop, stall and refuse."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from pixelbloom.config import Settings
from pixelbloom.database.gateway import Gateway, RejectedData, StoreError
from pixelbloom.errors import Conflict, Unavailable


class Server(http.server.ThreadingHTTPServer):
    """Drops its first requests, then returns the configured response."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.drops = 0
        self.seen = 0
        self.response: tuple[int, bytes] = (200, b'{"fine": true}')


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen += 1
        if self.server.seen <= self.server.drops:
            self.close_connection = True
            return
        status, body = self.server.response
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join(60)


@pytest.fixture
def gateway(server: Server) -> Iterator[Gateway]:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    settings = Settings(  # type: ignore[call-arg]
        _env_file=None, supabase_url=url, supabase_rest_url=url, supabase_service_role_key="e30.e30.e30"
    )
    opened = Gateway(settings)
    yield opened
    opened.close()


def test_a_call_is_repeated_after_a_broken_connection(gateway: Gateway, server: Server) -> None:
    server.drops = 1
    assert gateway.rpc("anything", {}) == {"fine": True}
    assert server.seen == 2


def test_a_server_that_drops_all_connections_is_unavailable_after_one_retry(gateway: Gateway, server: Server) -> None:
    server.drops = 100
    with pytest.raises(Unavailable):
        gateway.rpc("anything", {})
    assert server.seen == 2


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (503, "PGRST000", Unavailable),
        (504, "PGRST003", Unavailable),
        (404, "PGRST202", Unavailable),
        (500, "57014", Unavailable),
        (500, "40P01", Unavailable),
        (400, "22P02", RejectedData),
        (400, "23514", RejectedData),
        (409, "23505", Conflict),
        (400, "PGRST102", StoreError),
        (403, "42501", StoreError),
    ],
)
def test_postgrest_errors_become_our_errors_without_their_text(
    gateway: Gateway, server: Server, status: int, code: str, error: type[Exception]
) -> None:
    server.response = (status, b'{"code": "%s", "message": "select secret from users"}' % code.encode())
    with pytest.raises(error) as caught:
        gateway.rpc("anything", {})
    assert "secret" not in str(caught.value)


def test_a_response_that_is_not_json_is_an_internal_error(gateway: Gateway, server: Server) -> None:
    server.response = (502, b"<html>bad gateway</html>")
    with pytest.raises(Unavailable):
        gateway.rpc("anything", {})
