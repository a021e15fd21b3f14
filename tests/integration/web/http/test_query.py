"""Query parameters that an operation does not declare, on every operation of the API document."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.http import Api, is_error

#: Operations that need no token.
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "POST /api/visitors/sessions",
    "GET /api/pricing/packages",
    "POST /api/pricing/quote",
    "POST /api/payments/webhook",
    "POST /api/payments/create-checkout-session",
}


@pytest.fixture(scope="module")
def operations(web: Api) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of all."""
    paths = web.get("/api/openapi.json").json()["paths"]
    found = [(method.upper(), path, one) for path, item in paths.items() for method, one in item.items()]
    assert len(found) > 70
    return found


def requested(api: Api, method: str, path: str, query: str) -> httpx.Response:
    filled = path.replace("{agent_type}", "lead_agent")
    while "{" in filled:
        start, rest = filled.split("{", 1)
        filled = start + str(uuid4()) + rest.partition("}")[2]
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return api.request(method, f"{filled}?{query}", json=body)


def test_every_operation_names_unknown_parameters(web: Api, operations: list[tuple[str, str, dict[str, Any]]]) -> None:
    service = web.as_service()
    for method, path, operation in operations:
        declared = [part["name"] for part in operation.get("parameters", ()) if part["in"] == "query"]
        error = is_error(requested(service, method, path, "limt=5&other=%00x&limt=6"), 400, "BAD_REQUEST")

        assert error["details"] == [
            {"field": "limt", "message": "is unknown"},
            {"field": "other", "message": "is unknown"},
        ], (method, path)
        assert "limt" in error["error"]
        assert all(name in error["error"] for name in declared), (method, path)


def test_a_missing_token_is_reported_before_unknown_parameters(
    web: Api, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    for method, path, _ in operations:
        response = requested(web, method, path, "limt=5")
        expected = 400 if f"{method} {path}" in PUBLIC else 401
        assert response.status_code == expected, (method, path, response.text)


def test_head_accepts_the_parameters_of_get(web: Api) -> None:
    user = web.as_user()

    assert user.request("HEAD", "/api/agents/runs?limit=5").status_code == 200
    assert user.request("HEAD", "/api/agents/runs?limt=5").status_code == 400


def test_declared_parameters_are_still_validated(web: Api) -> None:
    user = web.as_user()

    assert user.get("/api/agents/runs?limit=5&status=queued").status_code == 200
    assert is_error(user.get("/api/agents/runs?limit=x"), 400, "BAD_REQUEST")["details"][0]["field"] == "limit"


@pytest.mark.parametrize("query", ["a" * 3_000, "&".join(f"p{n}" for n in range(900)), "%ff%fe=1", "=1", "%F0%9F"])
def test_odd_names_are_refused_in_short(web: Api, query: str) -> None:
    response = web.as_user().get(f"/api/agents/runs?{query}")

    assert is_error(response, 400, "BAD_REQUEST")["details"]
    assert len(response.content) < 4_096


def test_pages_and_sockets_accept_any_parameters(web: Api) -> None:
    assert web.get("/api/docs?theme=dark").status_code == 200
    assert web.get("/api/openapi.json?v=2").status_code == 200
