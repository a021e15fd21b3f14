"""Calls of the local stack's `/auth/v1`."""

import uuid
from collections.abc import Callable
from typing import Any

from werkzeug.test import Client, TestResponse

from pixelbloom.local.supabase.api_keys import ApiKeys
from pixelbloom.local.supabase.auth import Auth
from pixelbloom.local.supabase.gateway import Gateway
from pixelbloom.local.supabase.limits import Rates
from pixelbloom.local.supabase.tokens import AccessTokens
from tests.stack import Stack

PASSWORD = "correct horse"
MANY = Rates("100000/minute", "100000/minute", "100000/minute")
Call = Callable[..., TestResponse]


def gateway(stack: Stack, rates: Rates) -> Client:
    """The gateway in this process: the one of the stack has the rates of hosted Supabase."""
    secret = stack.settings.require("supabase_jwt_secret")
    tokens = AccessTokens(secret, f"{stack.settings.supabase_url}/auth/v1")
    return Client(Gateway(stack.rest_url, Auth(stack.database_url, tokens, rates), ApiKeys(secret)))


def caller(client: Client) -> Call:
    def call(method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return client.open(
            f"/auth/v1/{path}",
            method=method,
            **({"json": body} if not isinstance(body, bytes) else {"data": body}),
            headers=sent,
            environ_overrides={"RAW_URI": f"/auth/v1/{path}", "REMOTE_ADDR": "127.0.0.1"},
        )

    return call


def address() -> str:
    return f"{uuid.uuid4()}@example.com"


def signed_up(call: Call, email: str | None = None) -> dict[str, Any]:
    made = call("POST", "signup", {"email": email or address(), "password": PASSWORD, "data": {"name": "Ada"}})
    assert made.status_code == 200, made.text
    return dict(made.get_json())


def refreshed(call: Call, token: str) -> TestResponse:
    return call("POST", "token?grant_type=refresh_token", {"refresh_token": token})


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error_code"]
