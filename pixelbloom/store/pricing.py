"""Packages, and what they cost with a campaign's code."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pixelbloom.store.gateway import Gateway

COLUMNS = "id,name,description,price,currency,billing_interval,features"
#: What the rules of selling look at.
SOLD = "id,name,price,currency,billing_interval,stripe_price_id,active"
#: No agency sells more.
MAX_PACKAGES = 200


class PricingStore:
    """Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def packages(self) -> list[dict[str, Any]]:
        """Those that can be bought, in the order in which they are to be shown."""
        return self._gateway.select(
            lambda client: (
                client.table("pricing_packages")
                .select(COLUMNS)
                .eq("active", True)
                .order("position")
                .order("name")
                .limit(MAX_PACKAGES)
            ),
            name="pricing.packages",
        )

    def package(self, package_id: UUID) -> dict[str, Any] | None:
        """Return a package, a retired one too."""
        return self._package("id", str(package_id))

    def package_of(self, price_id: str) -> dict[str, Any] | None:
        """Return the package that has this price at Stripe, a retired one too."""
        return self._package("stripe_price_id", price_id)

    def _package(self, column: str, value: str) -> dict[str, Any] | None:
        rows = self._gateway.select(
            lambda client: client.table("pricing_packages").select(SOLD).eq(column, value).limit(1),
            name="pricing.package",
        )
        return rows[0] if rows else None

    def quote(self, package_id: UUID, code: str | None) -> dict[str, Any] | None:
        """The price now; None where there is no such package."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "quote_package", {"p_package_id": str(package_id), "p_code": code}
        )
        return found

    def redeem(self, package_id: UUID, code: str, user_id: UUID | None, key: str) -> dict[str, Any] | None:
        """The price now, with one use of the code counted under this key where it applies."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "redeem_campaign",
            {
                "p_package_id": str(package_id),
                "p_code": code,
                "p_user_id": str(user_id) if user_id else None,
                "p_key": key,
            },
        )
        return found

    def release_lost(self, before: datetime) -> int:
        """Give back the uses of checkouts before this moment that never came to be. Answers how many."""
        return int(self._gateway.rpc("release_lost_campaigns", {"p_before": before.isoformat()}))

    def release(self, key: str) -> bool:
        """Give the use of this key back; answers whether there was one."""
        return bool(self._gateway.rpc("release_campaign", {"p_key": key}))
