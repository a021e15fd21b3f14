"""Buying, and signed webhooks, with the stand-in for Stripe."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import stripe

from pixelbloom.local.stripe.server import SECRET, StripeServer
from tests.integration.http import Api
from tests.servers.stripe import WEBHOOK
from tests.stack import Stack
from tests.waiting import SECONDS

CHECKOUT = "/api/payments/create-checkout-session"
SUBSCRIPTION = "/api/payments/subscription"


def checkout(api: Api, **body: Any) -> dict[str, Any]:
    response = api.request("POST", CHECKOUT, json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def control(shop: StripeServer, action: str, **params: Any) -> Any:
    response = httpx.post(f"{shop.url}/_control/{action}", json=params, trust_env=False, timeout=SECONDS)
    assert response.status_code == 200, response.text
    return response.json()


def bought(api: Api, shop: StripeServer, stack: Stack, **body: Any) -> dict[str, Any]:
    """Buy and pay a subscription."""
    session = checkout(api, **{"price_id": "price_growth", **body})
    control(shop, "pay_session", session=session["id"])
    return becomes(api, stack, status="active")


def becomes(api: Api, stack: Stack, **wanted: Any) -> dict[str, Any]:
    """Wait until the subscription has these values, and return it."""
    seen: dict[str, Any] = {}

    def so() -> bool:
        response = api.get(SUBSCRIPTION)
        seen.clear()
        seen.update(response.json())
        return response.status_code == 200 and all(seen[name] == value for name, value in wanted.items())

    stack.wait_for(so)
    return dict(seen)


def notification_types(api: Api) -> list[str]:
    items = api.get("/api/notifications").json()["items"]
    return sorted(item["notification_type"] for item in items)


def one(db: psycopg.Connection, query: str, *values: Any) -> Any:
    row = db.execute(query, list(values)).fetchone()
    return row[0] if row else None


def event(kind: str = "invoice.paid", **changes: Any) -> dict[str, Any]:
    made = {"id": f"evt_{uuid4().hex}", "object": "event", "type": kind, "created": int(time.time()), "data": {}}
    return {**made, **changes}


def posted(
    web: Api, content: dict[str, Any] | bytes, secret: str = SECRET, at: int | None = None, sent: bytes | None = None
) -> httpx.Response:
    """Post a webhook signed by Stripe's own code; `sent` replaces its body."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    header = stripe.WebhookSignature.generate_signature_header(body.decode("latin-1"), secret, at or int(time.time()))
    return web.request("POST", WEBHOOK, content=sent or body, headers={"Stripe-Signature": header})
