"""Orders of packages, with or without the code of a campaign."""

from typing import Any

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api
from tests.integration.payments.checkouts import SUBSCRIPTION, becomes, checkout, control
from tests.stack import Stack


def order(packages: dict[str, str], package: str, code: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"package_id": packages[package]}}
    return {**body, "campaign_code": code} if code else body


def bought(api: Api, shop: StripeServer, stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    session = checkout(api, **body)
    control(shop, "pay_session", session=session["id"])
    return becomes(api, stack, status="active")


def changed(api: Api, packages: dict[str, str], package: str, **body: Any) -> dict[str, Any]:
    wanted = {"package_id": packages[package], **body}
    response = api.request("POST", f"{SUBSCRIPTION}/change", json=wanted)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
