"""Which origins may read responses, and which headers their pages may send and read."""

from typing import Any

import pytest

from tests.integration.http import Api

ORIGIN = "http://localhost:5173"


def test_a_preflight_needs_no_token(web: Api) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    response = web.request("OPTIONS", "/api/agents/invoke", headers=asks)

    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


def test_an_allowed_origin_may_read_responses_and_errors(user: Api, web: Api) -> None:
    for response in (
        user.get("/api/agents", headers={"Origin": ORIGIN}),
        web.get("/api/agents", headers={"Origin": ORIGIN}),
        web.get("/nothing", headers={"Origin": ORIGIN}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Request-ID" in response.headers["Access-Control-Expose-Headers"]
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert "Origin" in response.headers["Vary"]


#: Of requests: read by the API, or added by libraries for tracing and by supabase-js.
SENT = {
    *("accept", "authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "prefer"),
    *("x-request-id", "traceparent", "tracestate", "baggage", "sentry-trace", "apikey", "x-client-info"),
}
#: Of responses, besides those that every page may read.
READ = {"etag", "preference-applied", "retry-after", "www-authenticate", "x-request-id"}


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_allows_every_header_that_is_read(web: Api, method: str) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(sorted(SENT)),
    }

    headers = web.request("OPTIONS", "/api/leads/1", headers=asks).headers

    assert names(headers["Access-Control-Allow-Headers"]) >= SENT
    assert method in headers["Access-Control-Allow-Methods"].split(", ")


def test_pages_may_send_and_read_the_declared_headers(web: Api) -> None:
    response = web.get("/api/openapi.json", headers={"Origin": ORIGIN})
    document = response.json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    sent = {part["name"].lower() for one in operations for part in one.get("parameters", ()) if part["in"] == "header"}
    described = [each for one in operations for each in one["responses"].values()]
    described += document["components"]["responses"].values()
    read = {name.lower() for each in described for name in each.get("headers", ())}
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    allowed = web.request("OPTIONS", "/api/leads", headers=asks).headers["Access-Control-Allow-Headers"]

    assert "idempotency-key" in sent
    assert sent - {"stripe-signature"} <= names(allowed)
    assert read >= READ
    assert read <= names(response.headers["Access-Control-Expose-Headers"])


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:5173@evil.example", "*"],
)
def test_another_origin_gets_no_cors_headers(user: Api, origin: str) -> None:
    response = user.get("/api/agents", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_named_origins_are_the_only_ones(stack: Any) -> None:
    handle = stack.start("web", env={"CORS_ORIGINS": "https://app.example.com"})
    try:
        api = Api(handle.url, None, stack.settings)
        allowed = api.get("/healthz", headers={"Origin": "https://app.example.com"})
        local = api.get("/healthz", headers={"Origin": ORIGIN})
    finally:
        handle.kill()

    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Access-Control-Allow-Origin" not in local.headers
