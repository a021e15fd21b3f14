"""The local Supabase gateway: PostgREST through it is PostgREST itself, and a browser may call it."""

import json
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from werkzeug.test import Client

from pixelbloom.auth.mint import mint_user
from pixelbloom.database.gateway import Gateway as StoreGateway
from pixelbloom.errors import PixelBloomError
from pixelbloom.local import secrets
from pixelbloom.local.supabase.api_keys import ApiKeys
from pixelbloom.local.supabase.auth import Auth
from pixelbloom.local.supabase.gateway import Gateway
from pixelbloom.local.supabase.limits import Rates
from pixelbloom.local.supabase.tokens import AccessTokens
from tests.stack import Stack
from tests.waiting import SECONDS

ORIGIN = {"Origin": "http://localhost:5173"}
#: Written by each server for itself, and different from one request to the next.
OWN = {"date", "server", "connection", "transfer-encoding"}


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    key = stack.settings.require("supabase_service_role_key")
    with httpx.Client(
        headers={"apikey": key, "Authorization": f"Bearer {key}"}, trust_env=False, timeout=SECONDS
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/leads?select=id&limit=1", {"headers": {"Prefer": "count=exact"}}),
        ("GET", "/leads?select=id&name=eq.a%2Cb%20%22c%22", {}),
        ("GET", "/leads?id=in.(" + ",".join(str(uuid.UUID(int=n)) for n in range(400)) + ")", {}),
        ("GET", "/leads?select=id", {"headers": {b"X-Client-Info": "café".encode("latin-1")}}),
        ("HEAD", "/leads?select=id", {"headers": {"Prefer": "count=exact", "Range": "0-4"}}),
        ("GET", "/leads?select=id", {"headers": {"Range": "100000-100009", "Prefer": "count=exact"}}),
        ("GET", "/leads", {"headers": {"Accept": "text/csv", **ORIGIN}}),
        ("GET", "/leads", {"headers": {"Authorization": "Bearer not.a.token"}}),
        ("GET", "/no_such_table", {}),
        ("GET", "/", {"headers": {"Accept": "application/openapi+json"}}),
        ("POST", "/leads", {"json": {"no_such_column": 1}, "headers": {"Prefer": "return=representation"}}),
        ("POST", "/rpc/admins_among", {"json": {"p_users": []}}),
        ("PATCH", f"/leads?id=eq.{uuid.UUID(int=1)}", {"json": {"name": "x"}}),
        ("DELETE", f"/leads?id=eq.{uuid.UUID(int=1)}", {"headers": {"Prefer": "count=exact"}}),
        ("PUT", "/leads", {"json": {}}),
        ("TRACE", "/leads", {}),
        ("OPTIONS", "/leads", {}),
    ],
)
def test_the_gateway_passes_postgrest_responses_through(
    stack: Stack, http: httpx.Client, method: str, path: str, options: dict[str, Any]
) -> None:
    gateway = stack.settings.require("supabase_url")
    assert gateway != stack.rest_url
    direct = http.request(method, f"{stack.rest_url}{path}", **options)
    passed = http.request(method, f"{gateway}/rest/v1{path}", **options)
    assert passed.status_code == direct.status_code
    assert _headers(passed) - {("access-control-allow-origin", "*")} == _headers(direct) - {
        ("access-control-allow-origin", "*")
    }
    assert passed.headers["access-control-allow-origin"] == "*"
    assert passed.content == direct.content


def test_rows_written_in_chunks_are_stored_whole(stack: Stack, http: httpx.Client) -> None:
    url = f"{stack.settings.require('supabase_url')}/rest/v1/leads"
    mark = f"gateway {uuid.uuid4()}"
    rows = [f'{{"name": "{mark}", "company": "{"ü" * 190}"}}' for _ in range(900)]
    body = f"[{','.join(rows)}]".encode()
    made = http.post(
        url,
        params={"select": "id,company"},
        content=(body[start : start + 1000] for start in range(0, len(body), 1000)),
        headers={"Content-Type": "application/json", "Prefer": "return=representation"},
    )
    assert made.status_code == 201, made.text[:500]
    assert {row["company"] for row in made.json()} == {"ü" * 190}
    assert len(made.json()) == 900
    assert http.delete(url, params={"name": f"eq.{mark}"}).status_code == 204


@pytest.mark.parametrize("path", ["/rest/v1/leads", "/rest/v1/rpc/anything", "/auth/v1/token?grant_type=password"])
def test_a_browser_may_call_it_from_any_origin(stack: Stack, path: str) -> None:
    wanted = "apikey,authorization,prefer,x-client-info,x-supabase-api-version,x-retry-count"
    response = httpx.options(
        stack.settings.require("supabase_url") + path,
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": wanted,
        },
        trust_env=False,
    )
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["access-control-allow-headers"] == wanted
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} <= set(
        response.headers["access-control-allow-methods"].split(",")
    )


def test_errors_of_the_gateway_have_cors_headers(stack: Stack) -> None:
    missing = httpx.get(stack.settings.require("supabase_url") + "/storage/v1/bucket", trust_env=False, timeout=SECONDS)
    assert missing.status_code == 404
    assert "/rest/v1 and /auth/v1" in missing.json()["message"]
    assert missing.headers["access-control-allow-origin"] == "*"

    auth = Auth("postgresql://127.0.0.1:9/postgres", AccessTokens("s" * 32, "http://127.0.0.1:9/auth/v1"), Rates())
    client = Client(Gateway("http://127.0.0.1:9", auth, ApiKeys("s" * 32)))
    signing_in = client.post(
        "/auth/v1/signup",
        json={"email": "ada@example.com", "password": "correct horse"},
        environ_overrides={"RAW_URI": "/auth/v1/signup"},
    )
    assert signing_in.status_code == 503
    assert signing_in.get_json()["error_code"] == "unexpected_failure"
    assert signing_in.headers["access-control-allow-origin"] == "*"
    away = client.get("/rest/v1/leads", environ_overrides={"RAW_URI": "/rest/v1/leads"})
    assert away.status_code == 503
    assert away.headers["access-control-allow-origin"] == "*"


def test_a_too_long_address_is_refused(stack: Stack) -> None:
    connection = HTTPConnection(stack.settings.require("supabase_url").removeprefix("http://"), timeout=SECONDS)
    try:
        connection.request("GET", f"/rest/v1/leads?name=eq.{'a' * 70_000}")
        response = connection.getresponse()
        assert (response.status, response.headers["access-control-allow-origin"]) == (414, "*")
        assert "too long" in json.load(response)["message"]
    finally:
        connection.close()


def test_keys_of_the_newer_form_are_accepted_as_apikey_and_not_as_tokens(stack: Stack) -> None:
    keys = secrets.api_keys(stack.settings.require("supabase_jwt_secret"))
    publishable, secret = keys["SUPABASE_PUBLISHABLE_KEY"], keys["SUPABASE_SECRET_KEY"]
    user = mint_user(stack.settings, uuid.uuid4())
    url = f"{stack.settings.require('supabase_url')}/rest/v1"

    def status(path: str, apikey: str, bearer: str | None = None) -> int:
        headers = {"apikey": apikey} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        return httpx.get(url + path, headers=headers, trust_env=False, timeout=SECONDS).status_code

    for path, key, bearer, expected in (
        ("/pricing_packages", publishable, None, 200),
        ("/pricing_packages", publishable, publishable, 200),
        ("/leads", publishable, None, 401),  # anon may not
        ("/leads", publishable, user, 200),
        ("/runs", secret, None, 200),
        ("/runs", secret, secret, 200),
        ("/runs", publishable, secret, 401),
        ("/runs", secret + "x", None, 401),
        ("/runs", "sb_secret_" + publishable.removeprefix("sb_publishable_"), None, 401),
    ):
        assert status(path, key, bearer) == expected, (path, key[:14], bearer and bearer[:14])
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{url}/runs", headers=headers, trust_env=False, timeout=SECONDS).status_code == 401


def test_the_backend_works_with_a_secret_key_of_the_newer_form(stack: Stack) -> None:
    keys = secrets.api_keys(stack.settings.require("supabase_jwt_secret"))
    url = f"{stack.settings.require('supabase_url')}/rest/v1"

    def rows(key: str) -> Any:
        settings = stack.settings_with(supabase_rest_url=url, supabase_service_role_key=key)
        gateway = StoreGateway(settings)
        try:
            return gateway.select(lambda client: client.table("runs").select("id").limit(1), name="runs")
        finally:
            gateway.close()

    assert isinstance(rows(keys["SUPABASE_SECRET_KEY"]), list)
    with pytest.raises(PixelBloomError):
        rows(keys["SUPABASE_PUBLISHABLE_KEY"])


def _headers(response: httpx.Response) -> set[tuple[str, str]]:
    return {(name, value) for name, value in response.headers.multi_items() if name not in OWN}
