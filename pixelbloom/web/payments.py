"""`/api/payments`: buying, and one's own subscription."""

import hashlib
import time
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound, PixelBloomError, Unavailable
from pixelbloom.payments import facts
from pixelbloom.payments.money import minor_units
from pixelbloom.web import origins, payment_schemas
from pixelbloom.web.caller import authenticate, principal
from pixelbloom.web.openapi import SECURITY, failures, success
from pixelbloom.web.payment_schemas import (
    CancelRequest,
    ChangeRequest,
    CheckoutBody,
    CheckoutRequest,
    PortalBody,
    PortalRequest,
    SubscriptionBody,
)
from pixelbloom.web.pricing import WHY_NOT
from pixelbloom.web.run_access import in_whose_name
from pixelbloom.web.schemas import uuid_or_none
from pixelbloom.web.services import services
from pixelbloom.web.submitting import idempotency_key

payments = APIBlueprint(
    "payments",
    __name__,
    url_prefix="/api/payments",
    abp_tags=[Tag(name="Payments", description="Stripe checkout, webhooks and subscriptions.")],
    abp_security=SECURITY,
)
payments.before_request(authenticate)

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters. The same key and request give the same checkout.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_NO_SUBSCRIPTION = "You have no subscription; POST /api/payments/create-checkout-session begins one."


@payments.post(
    "/create-checkout-session",
    summary="Begin a checkout",
    operation_id="createCheckoutSession",
    responses={
        **success(CheckoutBody, payment_schemas.CHECKOUT, status=201),
        **failures(400, 401, 403, 404, 413, 429, 500, 502, 503),
    },
    openapi_extensions={"parameters": [_KEY]},
)
def create_checkout_session(body: CheckoutRequest) -> tuple[dict[str, Any], int]:
    """A checkout session of Stripe; send the browser to its `url`. When it is paid, the subscription is there."""
    settings, store = services().settings, services().payments
    user_id = in_whose_name(body.user_id)
    package = _package(body.metadata.get("package_id"))
    price = body.price_id or (package or {}).get("stripe_price_id") or settings.stripe_price_id
    if price is None:
        raise _fault("price_id", "is required, as no STRIPE_PRICE_ID is set")
    if package is not None and package["stripe_price_id"] not in (None, price):
        # Or somebody would get the large package for the small one's price.
        raise _fault("price_id", "is not the price of that package; leave one of them out")
    package = package or (store.package_of(price) if body.campaign_code else None)
    mode = body.mode or settings.stripe_mode
    given, key = idempotency_key(), str(uuid4())
    if given is not None:
        key = hashlib.sha256(f"{principal().caller}:{given}".encode()).hexdigest()
    # Ours last: nobody names another buyer.
    metadata = {**body.metadata, "price_id": price}
    for name in ("user_id", "campaign_id", "discount_type", "discount_value", "redemption_key"):
        metadata.pop(name, None)
    if package is not None:
        metadata["package_id"] = package["id"]
    params: dict[str, Any] = {
        "mode": mode,
        "line_items": [{"price": price, "quantity": 1}],
        "success_url": _allowed("success_url", body.success_url, settings.stripe_success_url),
        "cancel_url": _allowed("cancel_url", body.cancel_url, settings.stripe_cancel_url),
    }
    if user_id is not None:
        params["client_reference_id"] = metadata["user_id"] = str(user_id)
    known = store.current(user_id) if user_id is not None else None
    if known is not None and known["stripe_customer_id"]:
        params["customer"] = known["stripe_customer_id"]
    elif body.customer_email is not None:
        params["customer_email"] = body.customer_email
    services().submission_limit.count(principal())
    services().stripe.ready()
    if body.campaign_code is not None:
        params["discounts"] = [{"coupon": _discount(body.campaign_code, package, user_id, f"checkout:{key}", metadata)}]
    params["metadata"] = metadata
    if mode == "subscription":
        params["subscription_data"] = {"metadata": metadata}
    try:
        session = services().stripe.create_checkout(params, key)
    except PixelBloomError as error:
        # Where no answer came it may have been made, with the discount: the night looks into that.
        if body.campaign_code is not None and not isinstance(error, Unavailable):
            services().pricing.release(f"checkout:{key}")
        raise
    return {"id": session["id"], "url": session["url"]}, 201


@payments.post(
    "/portal-session",
    summary="Open the billing portal",
    operation_id="createPortalSession",
    responses={
        **success(PortalBody, payment_schemas.PORTAL, status=201),
        **failures(400, 401, 404, 413, 429, 500, 502, 503),
    },
)
def create_portal_session(body: PortalRequest) -> tuple[dict[str, Any], int]:
    """Stripe's own pages for cards and invoices; send the browser to its `url`."""
    found = _current()
    if found["stripe_customer_id"] is None:
        raise NotFound(_NO_SUBSCRIPTION)
    back = _allowed("return_url", body.return_url, services().settings.stripe_success_url)
    return {"url": services().stripe.open_portal(found["stripe_customer_id"], back)}, 201


@payments.get(
    "/subscription",
    summary="Get your subscription",
    operation_id="getSubscription",
    responses={**success(SubscriptionBody, payment_schemas.SUBSCRIPTION), **failures(401, 404, 500, 503)},
)
def get_subscription() -> dict[str, Any]:
    """Your own: the newest that is not over, else the newest of all."""
    return _current()


@payments.post(
    "/subscription/cancel",
    summary="Cancel your subscription",
    operation_id="cancelSubscription",
    responses={
        **success(SubscriptionBody, payment_schemas.SUBSCRIPTION),
        **failures(400, 401, 404, 409, 413, 429, 500, 502, 503),
    },
)
def cancel_subscription(body: CancelRequest) -> dict[str, Any]:
    """With the period that is paid for, or now. The answer has it already; the event of Stripe follows."""
    found = _running()
    return _after(found, services().stripe.cancel(found["stripe_subscription_id"], at_period_end=body.at_period_end))


@payments.post(
    "/subscription/change",
    summary="Change your subscription",
    operation_id="changeSubscription",
    responses={
        **success(SubscriptionBody, payment_schemas.SUBSCRIPTION),
        **failures(400, 401, 404, 409, 413, 429, 500, 502, 503),
    },
)
def change_subscription(body: ChangeRequest) -> dict[str, Any]:
    """To another price: now, with the difference on the next invoice, or from the next period on."""
    if (body.price_id is None) == (body.package_id is None):
        raise _fault("price_id", "or package_id is required, and not both")
    price = body.price_id
    if price is None:
        price = (_package(str(body.package_id)) or {}).get("stripe_price_id")
    if price is None:
        raise _fault("package_id", "has no price at Stripe")
    found = _running()
    if found["stripe_price_id"] == price:
        raise Conflict("The subscription has this price already.")
    changed = services().stripe.change(found["stripe_subscription_id"], price, at_period_end=body.at_period_end)
    return _after(found, changed)


def _current(subscription_id: UUID | None = None) -> dict[str, Any]:
    user_id = principal().user_id
    found = services().payments.current(user_id, subscription_id) if user_id is not None else None
    if found is None:
        raise NotFound(_NO_SUBSCRIPTION)
    return {name: found[name] for name in payment_schemas.SUBSCRIPTION}


def _running() -> dict[str, Any]:
    found = _current()
    if found["stripe_subscription_id"] is None:
        raise NotFound(_NO_SUBSCRIPTION)
    if found["status"] == "cancelled":
        raise Conflict("The subscription has ended; begin a new one.")
    return found


def _after(found: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What Stripe answered is taken in at once; its event says the same later."""
    at = int(time.time())
    services().payments.apply(f"answered:{at}", facts.answered(answer, at))
    return _current(UUID(found["subscription_id"]))


def _package(text: str | None) -> dict[str, Any] | None:
    """Raises InvalidInput and NotFound."""
    if text is None:
        return None
    package_id = uuid_or_none(text)
    if package_id is None:
        raise _fault("metadata.package_id", "must be a UUID")
    found = services().payments.package(package_id)
    if found is None:
        raise NotFound("There is no such package; GET /api/pricing/packages lists them.")
    return found


def _allowed(field: str, url: str | None, default: str | None) -> str:
    """Where a browser may be sent back to. Raises InvalidInput."""
    url = url or default
    if url is None:
        raise _fault(
            field, f"is required, as no STRIPE_{'SUCCESS_URL' if field == 'return_url' else field.upper()} is set"
        )
    if not origins.leads_home(services().settings, url):
        raise _fault(field, "must lead to an origin of CORS_ORIGINS, STRIPE_SUCCESS_URL or STRIPE_CANCEL_URL")
    return url


def _discount(
    code: str, package: dict[str, Any] | None, user_id: UUID | None, key: str, metadata: dict[str, str]
) -> str:
    """The coupon of a campaign, one of whose uses is taken under this key. Raises InvalidInput."""
    if package is None:
        raise _fault("campaign_code", "needs a package; name its package_id in metadata")
    quote = services().pricing.redeem(UUID(package["id"]), code, user_id, key)
    if quote is None or not quote["campaign"]["applies"]:
        raise _fault("campaign_code", "does not apply: " + WHY_NOT[quote["campaign"]["reason"] if quote else "unknown"])
    campaign = quote["campaign"]
    value = Decimal(str(campaign["discount_value"]))
    metadata |= {
        "campaign_id": campaign["campaign_id"],
        "discount_type": campaign["discount_type"],
        "discount_value": str(value),
        "redemption_key": key,
    }
    kind: dict[str, Any] = {"percent_off": float(value)}
    if campaign["discount_type"] == "fixed":
        kind = {"amount_off": minor_units(value, quote["currency"]), "currency": quote["currency"]}
    name = hashlib.sha256(f"{campaign['campaign_id']}:{campaign['discount_type']}:{value}".encode()).hexdigest()[:24]
    try:
        return services().stripe.coupon(f"pb_{name}", {**kind, "duration": "forever", "name": campaign["code"][:40]})
    except PixelBloomError:
        services().pricing.release(key)
        raise


def _fault(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field} {message}.", [FieldError(field, message)])
