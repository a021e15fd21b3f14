"""`/api/payments`: buying, and the caller's subscription."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from flask import g, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.payments.orders import Buyer, Order, return_url
from pixelbloom.payments.selling import Wanted, invalid
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import (
    account_or_address,
    caller_or_address,
    own_or_scoped_or_no_token,
    principal,
    scoped,
)
from pixelbloom.web.http.openapi import IDEMPOTENCY_KEY, SECURITY, failures, headers, success
from pixelbloom.web.http.schemas import uuid_or_none
from pixelbloom.web.payments.schemas import (
    CancelRequest,
    ChangeRequest,
    CheckoutBody,
    CheckoutRequest,
    PortalBody,
    PortalRequest,
    SubscriptionBody,
)
from pixelbloom.web.runs.submission import idempotency_key

payments = APIBlueprint(
    "payments",
    __name__,
    url_prefix="/api/payments",
    abp_tags=[Tag(name="Payments", description="Stripe checkout, webhooks and subscriptions.")],
    abp_security=SECURITY,
)


@payments.before_request
def guard() -> None:
    """Require the scope of payments, except for buying: that needs no token, but a token's scope must not be empty."""
    if request.endpoint == f"{payments.name}.{create_checkout_session.__name__}":
        own_or_scoped_or_no_token("payments")()
    else:
        scoped("payments")()


payments.before_request(counting.count_first(counting.checkout, "create_checkout_session"))


@payments.post(
    "/create-checkout-session",
    summary="Create a checkout session",
    operation_id="createCheckoutSession",
    security=[{}],  # or the blueprint's
    responses={
        **success(CheckoutBody, status=201),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 502, 503),
    },
    openapi_extensions=headers(IDEMPOTENCY_KEY),
)
def create_checkout_session(body: CheckoutRequest) -> tuple[CheckoutBody, int]:
    """Creates a Stripe checkout session; send the browser to its `url`. After the payment the subscription exists.

    Without a token, or with a visitor's, only packages are for sale, `customer_email` is required, and a network
    address may start CHECKOUT_RATE_LIMIT checkouts. The purchase belongs to the account with that verified e-mail
    address, or to one that signs in with it later.
    """
    parts, settings, caller = services(), services().settings, g.principal
    buyer = Buyer.of(parts.access, caller, caller_or_address(), body.user_id, body.customer_email)
    order = Order(
        key=buyer.request_key(idempotency_key()),
        success_url=return_url(settings, "success_url", body.success_url, settings.stripe_success_url),
        cancel_url=return_url(settings, "cancel_url", body.cancel_url, settings.stripe_cancel_url),
        wanted=Wanted(_package_id(body.metadata), body.price_id, body.mode, "metadata.package_id"),
        user_id=buyer.user_id,
        customer_email=body.customer_email,
        metadata=body.metadata,
        campaign_code=body.campaign_code,
        packages_only=not buyer.has_account,
    )
    if body.campaign_code is not None:
        # Against guessing of codes: attempts count together with quotes.
        for_another = caller is not None and buyer.user_id not in (None, caller.user_id)
        parts.quote_limit.count(f"user:{buyer.user_id}" if for_another else account_or_address())
    parts.stripe.ready()
    known = parts.payments.current(buyer.user_id) if buyer.user_id is not None else None
    order = replace(order, stripe_customer=known["stripe_customer_id"]) if known else order
    return CheckoutBody.model_validate(parts.checkouts.begin(order)), 201


@payments.post(
    "/portal-session",
    summary="Create a billing portal session",
    operation_id="createPortalSession",
    responses={
        **success(PortalBody, status=201),
        **failures(400, 401, 403, 404, 413, 429, 500, 502, 503),
    },
)
def create_portal_session(body: PortalRequest) -> tuple[PortalBody, int]:
    """Returns the `url` of Stripe's billing portal for cards and invoices; send the browser there."""
    customer = services().subscriptions.customer(principal().user_id)
    settings = services().settings
    back = return_url(settings, "return_url", body.return_url, settings.stripe_success_url)
    return PortalBody(url=services().stripe.open_portal(customer, back)), 201


@payments.get(
    "/subscription",
    summary="Get your subscription",
    operation_id="getSubscription",
    responses={**success(SubscriptionBody), **failures(401, 403, 404, 500, 503)},
)
def get_subscription() -> SubscriptionBody:
    """Returns your newest active subscription, else the newest of all.

    One that you bought with your account comes before one that was bought for your e-mail address.
    """
    return SubscriptionBody.model_validate(services().subscriptions.current(principal().user_id))


@payments.post(
    "/subscription/cancel",
    summary="Cancel your subscription",
    operation_id="cancelSubscription",
    responses={
        **success(SubscriptionBody),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 502, 503),
    },
)
def cancel_subscription(body: CancelRequest) -> SubscriptionBody:
    """Cancels at the end of the paid period, or now. The response shows it already; Stripe's event follows."""
    after = services().subscriptions.cancel(principal().user_id, at_period_end=body.at_period_end)
    return SubscriptionBody.model_validate(after)


@payments.post(
    "/subscription/change",
    summary="Update your subscription",
    operation_id="updateSubscription",
    responses={
        **success(SubscriptionBody),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 502, 503),
    },
)
def change_subscription(body: ChangeRequest) -> SubscriptionBody:
    """Changes the price: now, with the difference billed at once, or from the next period on.

    If that cannot be collected, the price stays, and the response is 400.
    """
    if body.price_id is None and body.package_id is None:
        raise invalid("price_id", "or package_id is required")
    wanted = Wanted(body.package_id, body.price_id, "subscription")
    after = services().subscriptions.change(principal().user_id, wanted, at_period_end=body.at_period_end)
    return SubscriptionBody.model_validate(after)


def _package_id(metadata: Mapping[str, str]) -> UUID | None:
    """Return the package id in the metadata. Raises InvalidInput."""
    text = metadata.get("package_id")
    package_id = uuid_or_none(text)
    if text is not None and package_id is None:
        raise invalid("metadata.package_id", "must be a UUID")
    return package_id
