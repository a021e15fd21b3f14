"""Selling: starting a checkout, and changing a subscription's price, by the same rules."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import structlog

from pixelbloom.config import Settings
from pixelbloom.errors import Conflict, InvalidInput, NotFound, PixelBloomError, Unavailable, UpstreamError
from pixelbloom.payments.campaigns import COUPON_PREFIX, REFUSAL_REASONS, Campaign, covers
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.orders import Order
from pixelbloom.payments.selling import (
    Mode,
    Offer,
    Package,
    StripePrice,
    Wanted,
    check_package,
    check_price,
    choose,
    difference_of,
    invalid,
)
from pixelbloom.pricing.service import PricingService

log = structlog.get_logger(__name__)

#: Metadata that only we write.
RESERVED = ("user_id", "campaign_id", "discount_type", "discount_value", "discount_months", "redemption_key")
#: How often another open checkout of the same customer is expired before the request is rejected.
REPLACEMENTS = 3


class Checkouts:
    """The sales of one process. Every method may raise what StripeGateway and PricingService raise."""

    def __init__(self, settings: Settings, pricing: PricingService, stripe: StripeGateway) -> None:
        self._settings = settings
        self._pricing = pricing
        self._stripe = stripe

    def begin(self, order: Order) -> dict[str, str]:
        """Return the checkout session: {"id", "url"}; a repeated request returns the first one's.

        Raises InvalidInput, NotFound, and Conflict if the key was used for another request.
        """
        made = self._pricing.find_checkout(order.key, order.digest)
        if made is not None:
            return _made(made)
        offer, price, mode = self._offer(order.wanted, self._settings.stripe_mode, packages_only=order.packages_only)
        if order.campaign_code is not None and offer.package is None:
            raise invalid("campaign_code", "needs a package; name its package_id in metadata")
        request_id = uuid4()
        begun = self._begun(order, offer, request_id)
        if begun["state"] == "made":
            return _made(begun)
        params = self._params(order, offer, price)
        try:
            if "quote" in begun:
                self._discount(params, begun, mode)
        except PixelBloomError:
            self._pricing.fail_checkout(order.key, begun["attempt"], request_id)
            raise
        try:
            session = self._stripe.create_checkout(params, f"{order.key}:{begun['attempt']}")
        except (Unavailable, UpstreamError):
            # Stripe may have created it: a repeat finds it by its key. Nobody has its URL, so the customer's next
            # checkout takes over the redemption; otherwise it is released when the session has expired.
            raise
        except PixelBloomError:
            self._pricing.fail_checkout(order.key, begun["attempt"], request_id)
            raise
        if not self._pricing.finish_checkout(order.key, begun["attempt"], session["id"], session["url"]):
            self._stripe.expire_checkout(session["id"])
            raise Conflict("A newer checkout replaced this one; use that, or try again.")
        return {"id": session["id"], "url": session["url"]}

    def change(self, subscription: Mapping[str, Any], wanted: Wanted, *, at_period_end: bool) -> dict[str, Any]:
        """Change the price of a subscription, and return its new state at Stripe.

        A discount that does not cover the new package ends with the current price.
        Raises InvalidInput, NotFound and Conflict.
        """
        offer, price, _ = self._offer(wanted, None)
        if price.currency != subscription["currency"]:
            raise invalid("price_id", f"is in {price.currency}, and the subscription is in {subscription['currency']}")
        if subscription["stripe_price_id"] == offer.price_id:
            raise Conflict("The subscription has this price already.")
        granted = self._pricing.granted_discount(UUID(subscription["subscription_id"]))
        stays = granted is not None and covers(granted["package_ids"], offer.package)
        return self._stripe.change(
            subscription["stripe_subscription_id"],
            offer.price_id,
            at_period_end=at_period_end,
            drops=None if stays else COUPON_PREFIX,
        )

    def end_redemption(self, key: str, session_id: str | None) -> str:
        """Expire the checkout of an unpaid redemption at Stripe, and release the redemption.

        Return expired, or complete if it was paid meanwhile.
        """
        state = self._stripe.expire_checkout(session_id) if session_id is not None else "expired"
        self._pricing.record_redemption(key, "expired" if state == "expired" else "open")
        return state

    def release(self, redemption_id: UUID | None) -> dict[str, Any]:
        """Release an open redemption, and return it. Raises NotFound, and Conflict if it is completed or released."""
        row = self._pricing.get_redemption(redemption_id)
        if row["released_at"] is not None or row["completed_at"] is not None:
            raise Conflict("Only an open redemption can be released; this one is completed or released.")
        if row["stripe_session_id"] is not None:
            self._stripe.ready()
        self.end_redemption(row["redemption_key"], row["stripe_session_id"])
        return self._pricing.get_redemption(redemption_id)

    def check_package(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidInput for a price that cannot be charged or, with STRIPE_API_KEY, that differs at Stripe."""
        if errors := check_package(row):
            raise InvalidInput.of(errors)
        if self._settings.stripe_api_key is None or not row["active"] or row["stripe_price_id"] is None:
            return
        package = Package.from_row({"id": str(uuid4()), **row})
        try:
            price = self._stripe.price(row["stripe_price_id"])
        except NotFound:
            raise invalid("stripe_price_id", "is not a price of this Stripe account") from None
        if difference := difference_of(package, price):
            raise invalid("stripe_price_id", f"does not match the package: that price at Stripe {difference}")

    def package(self, package_id: UUID) -> Package | None:
        """Return a package, even a retired one."""
        row = self._pricing.package(package_id)
        return Package.from_row(row) if row else None

    def package_of(self, price_id: str) -> Package | None:
        """Return the package that has this price at Stripe, else the one that had it, even a retired one."""
        row = self._pricing.package_of(price_id)
        return Package.from_row(row) if row else None

    def _offer(
        self, wanted: Wanted, default_mode: Mode | None, *, packages_only: bool = False
    ) -> tuple[Offer, StripePrice, Mode]:
        settings = self._settings
        offer = choose(wanted, self, default=settings.stripe_price_id, extra=settings.stripe_extra_price_ids)
        if packages_only and offer.package is None:
            raise invalid("price_id", "is not on sale without an account; GET /api/pricing/packages lists what is")
        try:
            price = self._stripe.price(offer.price_id)
        except NotFound:
            if offer.package is None:
                raise invalid("price_id", "is not a price of this Stripe account") from None
            log.warning("package_price_unknown", package_id=str(offer.package.id), price_id=offer.price_id)
            raise Conflict(
                f"{offer.package.name} cannot be sold now: Stripe has no price {offer.price_id}. "
                "An administrator must correct the package's stripe_price_id."
            ) from None
        return offer, price, check_price(offer, price, wanted.mode, default_mode)

    def _begun(self, order: Order, offer: Offer, request_id: UUID) -> dict[str, Any]:
        """Redeem the code, if any; the customer's other open checkouts with it are expired first."""
        for _ in range(REPLACEMENTS):
            begun = self._pricing.begin_checkout(
                key=order.key,
                digest=order.digest,
                request_id=request_id,
                package_id=offer.package.id if offer.package else None,
                code=order.campaign_code,
                user_id=order.user_id,
                customer=order.customer,
            )
            match begun["state"]:
                case "open":
                    self.end_redemption(begun["redemption_key"], begun["stripe_session_id"])
                case "gone":
                    raise NotFound("There is no such package; GET /api/pricing/packages lists them.")
                case "refused":
                    raise invalid(
                        "campaign_code", "does not apply: " + REFUSAL_REASONS[begun["quote"]["campaign"]["reason"]]
                    )
                case "conflict":
                    raise _key_conflict()
                case _:
                    return begun
        raise Conflict("Another checkout with this code is starting at the same moment; try again.")

    def _params(self, order: Order, offer: Offer, price: StripePrice) -> dict[str, Any]:
        """Return the parameters of the session, without a discount."""
        # Ours override the caller's, so that nobody can name another buyer.
        metadata = {**order.metadata, "price_id": offer.price_id}
        for name in RESERVED:
            metadata.pop(name, None)
        params: dict[str, Any] = {
            "mode": price.mode,
            # A price may have others, which Stripe would choose by the customer's country.
            "currency": price.currency,
            "line_items": [{"price": offer.price_id, "quantity": 1}],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "metadata": metadata,
        }
        if offer.package is not None:
            metadata["package_id"] = str(offer.package.id)
        if order.user_id is not None:
            params["client_reference_id"] = metadata["user_id"] = str(order.user_id)
        if order.stripe_customer is not None:
            params["customer"] = order.stripe_customer
        elif order.customer_email is not None:
            params["customer_email"] = order.customer_email
        if price.mode == "subscription":
            params["subscription_data"] = {"metadata": metadata}
        return params

    def _discount(self, params: dict[str, Any], begun: Mapping[str, Any], mode: Mode) -> None:
        """Add the campaign's coupon to the parameters of a session, with a short expiry."""
        row = self._pricing.campaign(UUID(begun["quote"]["campaign"]["campaign_id"]))
        if row is None:
            raise Conflict("The campaign was removed at the same moment; try again without its code.")
        campaign = Campaign.from_row(row)
        prices = begun["applies_to"] or []
        coupon = self._stripe.coupon(
            campaign.coupon_id(mode, prices), lambda: campaign.coupon(mode, sorted(set(self._products(prices))))
        )
        params["discounts"] = [{"coupon": coupon}]
        params["expires_at"] = int(begun["expires_at"])
        params["metadata"] |= {
            "campaign_id": str(campaign.id),
            "discount_type": campaign.discount_type,
            "discount_value": f"{campaign.value:f}",
            "redemption_key": begun["redemption_key"],
        }
        _, months = campaign.discount_duration(mode)
        if months is not None:
            params["metadata"]["discount_months"] = str(months)

    def _products(self, prices: list[str]) -> Iterator[str]:
        for price in prices:
            try:
                yield self._stripe.price(price).product
            except NotFound:
                log.warning("package_price_unknown", price_id=price)


def _made(found: Mapping[str, Any]) -> dict[str, str]:
    if found["state"] == "conflict":
        raise _key_conflict()
    return {"id": found["id"], "url": found["url"]}


def _key_conflict() -> Conflict:
    return Conflict("This Idempotency-Key was used with another request; use a new key for a new request.")
