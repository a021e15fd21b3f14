"""What every response has in common: errors, request ids, headers, health, stopping, logs."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.integration.http import Api, is_error, raw
from tests.waiting import SECONDS, background, until


@pytest.mark.parametrize(
    "path", ["/nothing", "/assets/", "/api", "/api/", "/api/agents/", "/api//agents", "/api/nothing", "/%00", "/%ff"]
)
def test_an_unknown_address_is_not_found(web: Api, path: str) -> None:
    is_error(web.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/agents/invoke", "POST"),
        ("DELETE", "/api/agents/invoke", "POST"),
        ("POST", "/api/agents/runs", "GET"),
        ("POST", "/api/agents", "GET"),
        ("PUT", "/healthz", "GET"),
        ("TRACE", "/api/agents", "GET"),
        ("BREW", "/api/agents", "GET"),
    ],
)
def test_another_method_is_refused_with_the_allowed_ones(web: Api, method: str, path: str, allowed: str) -> None:
    response = web.request(method, path)

    is_error(response, 405, "METHOD_NOT_ALLOWED")
    assert allowed in response.headers["Allow"]


def test_a_valid_request_id_is_returned_and_an_invalid_one_replaced(web: Api) -> None:
    def returned_id(**headers: str) -> str:
        return web.get("/healthz", headers=headers).headers["X-Request-ID"]

    assert returned_id(**{"X-Request-ID": "trace-42"}) == "trace-42"
    assert web.get("/nothing", headers={"X-Request-ID": "trace-43"}).headers["X-Request-ID"] == "trace-43"
    assert returned_id(**{"X-Request-ID": "<script>"}) != "<script>"
    assert returned_id() != returned_id()


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 100 + b"\r\n",
        b"POST /api/agents/invoke HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/agents/lead_agent HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /api/agents/runs/5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01?a=\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_malformed_http_gets_the_same_error_body(web: Api, data: bytes) -> None:
    status, headers, body = raw(web.url, data)

    assert status == 400
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"]
    assert json.loads(body)["code"] == "BAD_REQUEST"


def test_malformed_chunks_are_a_client_error(web: Api, user: Api) -> None:
    head = (
        f"POST /api/agents/invoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )

    status, _, body = raw(web.url, head.encode() + b"zz\r\nabc\r\n0\r\n\r\n")

    assert status == 400
    assert json.loads(body)["code"] == "BAD_REQUEST"


def test_a_malformed_websocket_handshake_gets_the_same_error_body(web: Api, user: Api) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8"}
    for api in (user, web):
        error = is_error(api.get("/api/ws/workflows", headers=upgrade), 400, "BAD_REQUEST")
        assert error["error"]


def test_responses_are_not_cached_or_sniffed(user: Api) -> None:
    headers = user.get("/api/agents").headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_web_tier_is_healthy_and_ready(web: Api) -> None:
    assert web.get("/healthz").json() == {"status": "ok"}
    wanted = {"database": {"status": "ok", "required": True}, "redis": {"status": "ok", "required": False}}
    seen: list[httpx.Response] = []

    def well() -> bool:
        seen[:] = [web.get("/readyz")]
        return seen[0].status_code == 200 and wanted.items() <= seen[0].json()["checks"].items()

    until(well, saw=lambda: seen[0].text)  # a busy machine may answer a check too late
    body = seen[0].json()
    assert body["status"] == "ok"
    assert body["checks"]["workers"]["required"] is False


def test_without_its_parts_the_web_tier_is_healthy_but_not_ready(stack: Any) -> None:
    away = {"SUPABASE_REST_URL": "http://127.0.0.1:9", "REDIS_URL": "redis://:hidden@127.0.0.1:9/0"}
    handle = stack.start("web", env=away)
    try:
        api = Api(handle.url, None, stack.settings)
        assert api.get("/healthz").status_code == 200
        response = api.get("/readyz")
    finally:
        handle.kill()

    assert response.status_code == 503
    body = response.json()
    assert body["status"] == "unavailable"
    assert {name for name, check in body["checks"].items() if check["status"] != "ok"} >= {"database", "redis"}
    assert "127.0.0.1" not in response.text
    assert "hidden" not in response.text


@pytest.mark.parametrize("database_url", ["", "postgresql://127.0.0.1:9/postgres"], ids=["PostgREST", "Postgres"])
def test_without_the_database_a_submission_names_the_run_and_reads_say_when_to_retry(
    stack: Any, database_url: str
) -> None:
    nowhere = {"SUPABASE_REST_URL": "http://127.0.0.1:9", "DATABASE_URL": database_url}
    handle = stack.start("web", env=nowhere)
    try:
        user = Api(handle.url, None, stack.settings).as_user()
        submitted, read = user.invoke(), user.get("/api/agents/runs")
    finally:
        handle.kill()

    body = is_error(submitted, 503, "UNAVAILABLE")
    assert any(len(word.strip(".:,")) == 36 for word in body["error"].split())
    assert int(submitted.headers["Retry-After"]) >= 1
    is_error(read, 503, "UNAVAILABLE")


def test_without_redis_a_submission_is_still_stored(stack: Any, db: Any) -> None:
    handle = stack.start("web", env={"REDIS_URL": "redis://127.0.0.1:9/0"})
    try:
        user = Api(handle.url, None, stack.settings).as_user()
        submitted = user.invoke().json()
        waited = user.invoke(Prefer="wait=1")
    finally:
        handle.kill()

    assert submitted["status"] == "queued"
    assert waited.status_code == 200
    assert db.execute("select status from public.runs where id = %s", [submitted["request_id"]]).fetchone()


def test_an_open_connection_does_not_delay_the_stop(stack: Any) -> None:
    handle = stack.start("web")
    parts = urlsplit(handle.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SECONDS) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        response = b""
        while b'"ok"}' not in response:
            part = idle.recv(65536)
            assert part, response
            response += part
        handle.stop()
        while rest := idle.recv(65536):
            assert rest == b"\n"
    assert "Worker exiting" in handle.output
    assert "graceful timeout" not in handle.output


def test_a_request_in_progress_gets_its_response_before_the_stop(stack: Any) -> None:
    handle = stack.start("web")
    user = Api(handle.url, None, stack.settings).as_user()
    with background(lambda: user.invoke(Prefer="wait=3").status_code) as [waiting]:
        until(lambda: user.get("/api/agents/runs").json()["items"])
        handle.stop()

    assert waiting.result() == 200


def test_the_log_has_the_request_id_and_never_the_query(stack: Any) -> None:
    handle = stack.start("web", env={"LOG_FORMAT": "json"})
    trace, secret = f"trace-{uuid4().hex}", uuid4().hex
    try:
        api = Api(handle.url, None, stack.settings)
        api.get(f"/api/docs?token={secret}", headers={"X-Request-ID": trace})
        api.get(f"/api/ws/workflows?token={secret}")
    finally:
        handle.stop()

    text = handle.output
    (line,) = [json.loads(line) for line in text.splitlines() if trace in line]
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "GET", "/api/docs", 200)
    assert secret not in text


def test_input_errors_are_plain_sentences(web: Api) -> None:
    user = web.as_user()
    error = is_error(user.invoke({"agent_type": "chat_agent", "input": {}}), 400, "BAD_REQUEST")
    assert error["error"] == "The input of chat_agent is invalid: input.message is required."
    assert error["details"] == [{"field": "input.message", "message": "is required"}]
    error = is_error(user.invoke({"agent_type": "chat_agent", "input": "x"}), 400, "BAD_REQUEST")
    assert error["error"] == "input must be an object."
    error = is_error(user.get("/api/agents/runs?cursor=nonsense"), 400, "BAD_REQUEST")
    assert error["error"] == "The cursor is invalid; use `next_cursor`, or omit it to start from the newest."
    assert error["details"][0]["field"] == "cursor"
    assert "[0-9" not in str(error)


def test_a_body_in_another_charset_is_refused(web: Api) -> None:
    body = b'{"agent_type": "chat_agent", "input": {"message": "hello"}}'
    response = web.as_user().post(body, {"Content-Type": "application/json; charset=latin-1"})
    assert "UTF-8" in is_error(response, 400, "BAD_REQUEST")["error"]
    assert web.as_user().post(body, {"Content-Type": "application/json; charset=UTF-8"}).status_code == 200
