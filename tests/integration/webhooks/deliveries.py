"""Webhook deliveries as the API shows them, and the secret that signs them."""

from typing import Any

from tests.integration.http import Api

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    response = api.get("/api/agents/webhooks", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def ending(**changes: Any) -> dict[str, Any]:
    usual = {
        "delivered": False,
        "final": False,
        "status_code": 500,
        "error": "no",
        "duration_ms": 1,
        "retry_seconds": 5.0,
        "responded": True,
    }
    return {**usual, **changes}
