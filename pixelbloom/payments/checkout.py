"""Selling: beginning a checkout, and changing a subscription's price, by the same rules."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from pixelbloom.config import Settings
from pixelbloom.errors import Conflict, NotFound, PixelBloomError, Unavailable
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.money import minor_units
from pixelbloom.payments.selling import Mode, Offer, Package, StripePrice, Wanted, check_price, choose, invalid
from pixelbloom.store.pricing import PricingStore

log = structlog.get_logger(__name__)

WHY_NOT = {
    "unknown": "There is no such code.",
    "inactive": "This code is not in use.",
    "not_started": "This code is not valid yet.",
    "expired": "This code is no longer valid.",
    "used_up": "This code has been used as often as it may be.",
    "wrong_package": "This code is not for this package.",
    "wrong_currency": "This code is not for prices in this currency.",
}
#: Metadata that we alone write.
RESERVED = ("user_id", "campaign_id", "discount_type", "discount_value", "redemption_key")


@dataclass(frozen=True)
class Order:
    """What a caller wants to buy. `key` is the name of this request, the same for a repeat of it."""

    wanted: Wanted
    key: str
    user_id: UUID | None
    customer: str | None
    customer_email: str | None
    success_url: str
    cancel_url: str
    metadata: Mapping[str, str]
    campaign_code: str | None


class Checkouts:
    """The sales of one process. Every method may raise what StripeGateway and PricingStore raise."""

    def __init__(self, settings: Settings, pricing: PricingStore, stripe: StripeGateway) -> None:
        self._settings = settings
        self._pricing = pricing
        self._stripe = stripe

    def begin(self, order: Order) -> dict[str, Any]:
        """Return the checkout session: {"id", "url"}. Raises InvalidInput, NotFound and Conflict."""
        offer, _, mode = self._offer(order.wanted, self._settings.stripe_mode)
        metadata = {**order.metadata, "price_id": offer.price_id}
        for name in RESERVED:
            metadata.pop(name, None)
        params: dict[str, Any] = {
            "mode": mode,
            "line_items": [{"price": offer.price_id, "quantity": 1}],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
        }
        if offer.package is not None:
            metadata["package_id"] = str(offer.package.id)
        if order.user_id is not None:
            params["client_reference_id"] = metadata["user_id"] = str(order.user_id)
        if order.customer is not None:
            params["customer"] = order.customer
        elif order.customer_email is not None:
            params["customer_email"] = order.customer_email
        redemption = f"checkout:{order.key}"
        if order.campaign_code is not None:
            params["discounts"] = [{"coupon": self._discount(order, offer, redemption, metadata)}]
        params["metadata"] = metadata
        if mode == "subscription":
            params["subscription_data"] = {"metadata": metadata}
        try:
            session = self._stripe.create_checkout(params, order.key)
        except PixelBloomError as error:
            # Where no answer came it may have been made, with the discount: the nightly comparison decides.
            if order.campaign_code is not None and not isinstance(error, Unavailable):
                self._pricing.release(redemption)
            raise
        return {"id": session["id"], "url": session["url"]}

    def change(self, subscription: Mapping[str, Any], wanted: Wanted, *, at_period_end: bool) -> dict[str, Any]:
        """Change the price of a subscription of ours, and return it as Stripe has it then.

        Raises InvalidInput, NotFound and Conflict.
        """
        offer, price, _ = self._offer(wanted, None)
        if price.currency != subscription["currency"]:
            raise invalid("price_id", f"is in {price.currency}, and the subscription is in {subscription['currency']}")
        if subscription["stripe_price_id"] == offer.price_id:
            raise Conflict("The subscription has this price already.")
        return self._stripe.change(subscription["stripe_subscription_id"], offer.price_id, at_period_end=at_period_end)

    def _offer(self, wanted: Wanted, default_mode: Mode | None) -> tuple[Offer, StripePrice, Mode]:
        settings = self._settings
        offer = choose(wanted, self, default=settings.stripe_price_id, extra=settings.stripe_extra_price_ids)
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

    def package(self, package_id: UUID) -> Package | None:
        """Return a package, a retired one too."""
        row = self._pricing.package(package_id)
        return Package.from_row(row) if row else None

    def package_of(self, price_id: str) -> Package | None:
        """Return the package that has this price at Stripe, a retired one too."""
        row = self._pricing.package_of(price_id)
        return Package.from_row(row) if row else None

    def _discount(self, order: Order, offer: Offer, key: str, metadata: dict[str, str]) -> str:
        """The coupon of a campaign, one of whose uses is taken under this key. Raises InvalidInput."""
        if offer.package is None or order.campaign_code is None:
            raise invalid("campaign_code", "needs a package; name its package_id in metadata")
        quote = self._pricing.redeem(offer.package.id, order.campaign_code, order.user_id, key)
        if quote is None or not quote["campaign"]["applies"]:
            raise invalid(
                "campaign_code", "does not apply: " + WHY_NOT[quote["campaign"]["reason"] if quote else "unknown"]
            )
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
        terms = f"{campaign['campaign_id']}:{campaign['discount_type']}:{value}"
        name = hashlib.sha256(terms.encode()).hexdigest()[:24]
        try:
            return self._stripe.coupon(f"pb_{name}", {**kind, "duration": "forever", "name": campaign["code"][:40]})
        except PixelBloomError:
            self._pricing.release(key)
            raise
