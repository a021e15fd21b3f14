"""The client's requests against other servers than the API, and failing ones."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from pixelbloom.client import ApiClient, ApiError
from pixelbloom.errors import ConfigurationError, FieldError, Unavailable
from tests.waiting import SECONDS


@contextmanager
def responding_with(
    status: int, body: bytes, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """A server with one response, and the requests that it got."""
    got: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(self)
            self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join(SECONDS)


def failure(status: int, body: bytes, headers: dict[str, str] | None = None) -> ApiError:
    with (
        responding_with(status, body, headers) as (url, _),
        ApiClient(url, "t") as api,
        pytest.raises(ApiError) as caught,
    ):
        api.run(uuid4())
    return caught.value


def test_an_api_error_has_all_fields_of_its_body() -> None:
    body = {
        "error": "The input is invalid.",
        "code": "BAD_REQUEST",
        "details": [{"field": "input.budget", "message": "is invalid"}],
    }
    error = failure(400, json.dumps(body).encode(), {"X-Request-ID": "r-1", "Retry-After": "3"})
    assert (error.status, error.code, error.message) == (400, "BAD_REQUEST", "The input is invalid.")
    assert error.details == (FieldError("input.budget", "is invalid"),)
    assert (error.request_id, error.retry_after) == ("r-1", 3.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [(502, b"<html>Bad Gateway</html>"), (200, b"<html>Welcome</html>"), (200, b"[1]"), (500, b'{"error": {}}')],
)
def test_a_response_of_another_server_is_reported_as_such(status: int, body: bytes) -> None:
    error = failure(status, body)
    assert (error.status, error.code) == (status, "UPSTREAM_ERROR")
    assert "check the address" in error.message


def test_a_redirect_is_not_followed_with_the_token() -> None:
    error = failure(302, b"", {"Location": "https://elsewhere.example/login"})
    assert "https://elsewhere.example/login" in error.message


@pytest.mark.parametrize("details", ["text", [1, None], {"a": 1}])
def test_malformed_details_are_ignored(details: Any) -> None:
    error = failure(400, json.dumps({"error": "No.", "code": "BAD_REQUEST", "details": details}).encode())
    assert (error.message, error.details) == ("No.", ())


def test_the_token_is_sent_and_a_netrc_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with responding_with(200, b"{}") as (url, got), ApiClient(url, "the-token") as api:
        api.agents()
    assert got[0].headers["Authorization"] == "Bearer the-token"


def test_invoke_sends_what_it_was_given() -> None:
    user = uuid4()
    with responding_with(200, b"{}") as (url, got), ApiClient(f"{url}/", "t") as api:
        api.invoke("lead_agent", {"a": 1}, user_id=user, metadata={"b": 2}, idempotency_key="k", wait=5)
        api.invoke("lead_agent", {})
    full, least = got
    assert full.path == "/api/agents/invoke"
    assert json.loads(full.sent) == {  # type: ignore[attr-defined]
        "agent_type": "lead_agent",
        "input": {"a": 1},
        "user_id": str(user),
        "metadata": {"b": 2},
    }
    assert (full.headers["Idempotency-Key"], full.headers["Prefer"]) == ("k", "wait=5")
    assert json.loads(least.sent) == {"agent_type": "lead_agent", "input": {}}  # type: ignore[attr-defined]
    assert "Idempotency-Key" not in least.headers


def test_a_number_that_json_cannot_carry_is_refused_before_sending() -> None:
    with responding_with(200, b"{}") as (url, got), ApiClient(url, "t") as api, pytest.raises(ConfigurationError):
        api.invoke("lead_agent", {"a": float("nan")})
    assert got == []


def test_an_unreachable_server_is_unavailable() -> None:
    with ApiClient("http://127.0.0.1:9", "t") as api, pytest.raises(Unavailable, match="is unreachable"):
        api.agents()


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://x", "http://", "http://[::1", "http://x?a=1"])
def test_an_invalid_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of an API"):
        ApiClient(address, "t")
