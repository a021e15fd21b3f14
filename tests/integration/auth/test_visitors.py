"""Visitors who are not signed in: they may create leads and chat, at a rate, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from pixelbloom.auth.mint import mint_user
from pixelbloom.auth.visitors import AUDIENCE, ROLE
from tests.integration.http import Api, is_error
from tests.integration.web.contract import operations
from tests.stack import Stack, stop_all
from tests.waiting import SECONDS

SESSIONS = "/api/visitors/sessions"
LIMITS = {"VISITOR_SESSION_LIMIT": "3/hour", "VISITOR_LEAD_LIMIT": "2/hour", "VISITOR_MESSAGE_LIMIT": "9/minute;4/day"}
OPEN = {
    "GET /api/me",
    "POST /api/visitors/sessions",
    "POST /api/payments/create-checkout-session",
    "POST /api/leads",
    "POST /api/conversations",
    "GET /api/agents/runs/{request_id}/events",
    "GET /api/conversations/{conversation_id}",
    "GET /api/conversations/{conversation_id}/messages",
    "POST /api/conversations/{conversation_id}/messages",
}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start("agents"), stack.start("web", env={"TRUSTED_PROXIES": "1", "VISITOR_SESSION_LIMIT": "off"})]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


def visitor(web: Api, **headers: str) -> Api:
    response = web.request("POST", SESSIONS, headers=headers)
    assert response.status_code == 201, response.text
    return web.with_token(response.json()["token"])


def test_a_visitor_chats_and_creates_a_lead(web: Api) -> None:
    anybody, other = visitor(web), visitor(web)
    lead = anybody.request("POST", "/api/leads", json={"name": "Ada", "message": "A website, please"}).json()
    body = {"title": "Hello", "lead_id": lead["lead_id"]}
    conversation = anybody.request("POST", "/api/conversations", json=body).json()
    path = f"/api/conversations/{conversation['conversation_id']}"
    response = anybody.request("POST", f"{path}/messages", json={"content": "Hello"}, headers={"Prefer": "wait=60"})

    assert (lead["user_id"], conversation["user_id"]) == (None, None)
    assert (response.status_code, response.json()["status"]) == (201, "completed"), response.text
    assert response.json()["reply"]["role"] == "assistant"
    assert [message["role"] for message in anybody.get(path).json()["messages"]] == ["user", "assistant"]
    assert len(anybody.get(f"{path}/messages").json()["items"]) == 2
    for stranger in (other, web.as_user()):
        is_error(stranger.get(path), 404, "NOT_FOUND")
        is_error(stranger.get(f"{path}/messages"), 404, "NOT_FOUND")
        is_error(stranger.request("POST", f"{path}/messages", json={"content": "x"}), 404, "NOT_FOUND")
    is_error(other.request("POST", "/api/conversations", json=body), 404, "NOT_FOUND")
    is_error(anybody.request("POST", "/api/leads", json={"name": "x", "user_id": str(uuid4())}), 403, "FORBIDDEN")
    admin = web.as_user(admin=True)
    assert admin.get(path).json()["visitor_id"] == conversation["visitor_id"]
    assert admin.get(f"/api/leads/{lead['lead_id']}").status_code == 200


def test_a_visitors_token_allows_nothing_else(web: Api, stack: Stack) -> None:
    token = visitor(web).token
    document = web.get("/api/openapi.json").json()
    guarded = [name for name, operation in operations(document) if operation.get("security") and name not in OPEN]

    assert len(guarded) > 50
    for name in guarded:
        method, path = name.split(" ")
        path = path.replace("{agent_type}", "chat_agent")
        while "{" in path:
            path = path[: path.index("{")] + str(uuid4()) + path[path.index("}") + 1 :]
        response = web.with_token(token).request(
            method, path, headers={"Content-Type": "application/json"}, content="{}"
        )
        assert response.status_code == 401, (name, response.text)
    tables = httpx.get(
        f"{stack.rest_url}/pricing_packages",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=SECONDS,
    )
    assert tables.status_code == 401
    for channel in ("workflows", "analytics", "notifications"):
        handshake = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        with (
            httpx.Client(trust_env=False, timeout=SECONDS) as client,
            client.stream("GET", f"{web.url}/api/ws/{channel}?token={token}", headers=handshake) as response,
        ):
            stream = response.extensions["network_stream"]
            assert b"UNAUTHORIZED" in stream.read(1024, timeout=SECONDS)


def test_only_visitor_tokens_of_this_api_are_accepted(web: Api, stack: Stack) -> None:
    secret = stack.settings.require("api_jwt_secret")
    claims: dict[str, Any] = {"sub": str(uuid4()), "role": ROLE, "aud": AUDIENCE, "exp": 4_000_000_000}

    def signed(key: str = secret, **changes: Any) -> str:
        return jwt.encode({n: v for n, v in {**claims, **changes}.items() if v is not None}, key, algorithm="HS256")

    assert web.with_token(signed()).request("POST", "/api/conversations", json={}).status_code == 201
    for token in (
        signed(exp=1),
        signed(exp=None),
        signed(exp="soon"),
        signed(sub="x"),
        signed(sub=None),
        signed(aud="authenticated"),
        signed(aud=None),
        signed(role="admin"),
        signed("x" * 32),
        signed(stack.settings.require("supabase_jwt_secret")),
        jwt.encode(claims, "", algorithm="none"),
        mint_user(stack.settings, uuid4()) + "x",
    ):
        is_error(web.with_token(token).request("POST", "/api/conversations", json={}), 401, "UNAUTHORIZED")


def test_visitors_are_counted_by_address_and_by_session(stack: Stack) -> None:
    handle = stack.start("web", env={**LIMITS, "TRUSTED_PROXIES": "1"})
    web = Api(handle.url, None, stack.settings)
    home, away = ({"X-Forwarded-For": f"203.0.113.{uuid4().int % 250}, {uuid4().int % 250}.0.0.{n}"} for n in (1, 2))
    try:
        tokens = [visitor(web, **home) for _ in range(3)]
        refused = web.request("POST", SESSIONS, headers=home)
        is_error(refused, 429, "RATE_LIMITED")
        assert int(refused.headers["Retry-After"]) > 0
        # Only the part that the proxy wrote counts: a visitor cannot have many addresses.
        forged = {"X-Forwarded-For": "198.51.100.7, " + home["X-Forwarded-For"].split(", ")[1]}
        is_error(web.request("POST", SESSIONS, headers=forged), 429, "RATE_LIMITED")
        assert web.request("POST", SESSIONS, headers=away).status_code == 201

        made = [tokens[0].request("POST", "/api/leads", json={"name": "Ada"}).status_code for _ in range(3)]
        assert made == [201, 201, 429]
        begun = tokens[0].request("POST", "/api/conversations", json={})
        path = f"/api/conversations/{begun.json()['conversation_id']}/messages"
        sent = [tokens[0].request("POST", path, json={"content": "Hello"}).status_code for _ in range(4)]
        assert sent == [201, 201, 201, 429]
        assert tokens[1].request("POST", "/api/leads", json={"name": "Ada"}).status_code == 201
        user = web.as_user()
        assert [user.request("POST", "/api/leads", json={"name": "A"}).status_code for _ in range(4)] == [201] * 4
    finally:
        handle.kill()


def test_visitors_are_refused_when_disabled_or_not_countable(stack: Stack, tmp_path: Path) -> None:
    closed = stack.start("web", env={"VISITORS": "false"})
    uncounted = stack.start("web", env={"REDIS_URL": f"unix://{tmp_path}/none.sock"})
    try:
        is_error(Api(closed.url, None, stack.settings).request("POST", SESSIONS), 403, "FORBIDDEN")
        away = Api(uncounted.url, None, stack.settings)
        is_error(away.request("POST", SESSIONS), 503, "UNAVAILABLE")
        token = jwt.encode(
            {"sub": str(uuid4()), "role": ROLE, "aud": AUDIENCE, "exp": 4_000_000_000},
            stack.settings.require("api_jwt_secret"),
            algorithm="HS256",
        )
        is_error(away.with_token(token).request("POST", "/api/leads", json={"name": "A"}), 503, "UNAVAILABLE")
        is_error(
            Api(closed.url, token, stack.settings).request("POST", "/api/leads", json={"name": "A"}),
            401,
            "UNAUTHORIZED",
        )
        assert away.as_user().request("POST", "/api/leads", json={"name": "A"}).status_code == 201
    finally:
        closed.kill()
        uncounted.kill()
