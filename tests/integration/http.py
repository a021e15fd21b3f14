"""Talking to the running API in the tests of its HTTP side."""

import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.config import Settings
from tests.waiting import SECONDS

#: Plain HTTP on loopback: loading certificates for each request would only cost time.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

CHAT = {"agent_type": "chat_agent", "input": {"message": "How long does a landing page take?"}}


@dataclass
class Api:
    """The API as one caller sees it. Only local: proxies of the environment are not asked."""

    url: str
    token: str | None
    settings: Settings
    user_id: UUID | None = None

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """One request on a connection of its own."""
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.request(
            method, self.url + path, headers=own | (headers or {}), timeout=70, trust_env=False, verify=_TLS, **options
        )

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """Invoke with a body as it is."""
        named = {"Content-Type": "application/json"} | (headers or {})
        return self.request("POST", "/api/agents/invoke", content=content, headers=named)

    def invoke(self, body: Any = None, **headers: str) -> httpx.Response:
        """Invoke with a body as JSON; bytes go out as they are. `Idempotency_Key="k"` is that header."""
        data = body if isinstance(body, bytes) else json.dumps(CHAT if body is None else body).encode()
        return self.post(data, {name.replace("_", "-"): value for name, value in headers.items()})

    def as_user(self, user_id: UUID | None = None, **options: Any) -> "Api":
        """The API as another signed-in user sees it."""
        user_id = user_id or uuid4()
        return Api(self.url, mint_user(self.settings, user_id, **options), self.settings, user_id)

    def as_anonymous(self) -> "Api":
        """The API as a new user of Supabase's anonymous sign-in sees it."""
        signup = f"{self.settings.supabase_url}/auth/v1/signup"
        response = httpx.post(signup, json={}, trust_env=False, timeout=SECONDS)
        assert response.status_code == 200, response.text
        return self.with_token(response.json()["access_token"])

    def as_service(self) -> "Api":
        return Api(self.url, mint_service(self.settings), self.settings)

    def with_token(self, token: str | None) -> "Api":
        return Api(self.url, token, self.settings)


def is_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the response against the spec's error body. Returns the body."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-ID"]
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert isinstance(body["error"], str)
    assert body["error"]
    assert set(body) <= {"error", "code", "details"}
    return body


def raw(url: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are. Returns status, headers and body of the response."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=70) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body
