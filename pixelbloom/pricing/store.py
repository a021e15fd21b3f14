"""Storage of packages, campaigns and redemptions, and quotes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices, newest_first, position, quoted
from pixelbloom.database.rows import change, find, insert

COLUMNS = "id,name,description,price,currency,billing_interval,features,position"


class PricingStore:
    """Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def packages(self, *, limit: int, after: tuple[int, str] | None) -> Rows:
        """Return a page of packages for sale, in display order: by position and name, after those of `after`."""
        return self._packages(
            lambda client: client.table("pricing_packages").select(COLUMNS).eq("active", True), limit, after
        )

    def catalogue(self, *, limit: int, after: tuple[int, str] | None) -> Rows:
        """Return a page of all packages, including retired ones, in display order."""
        return self._packages(lambda client: client.table("pricing_packages").select("*"), limit, after)

    def _packages(self, rows: Callable[[Client], Any], limit: int, after: tuple[int, str] | None) -> Rows:
        def query(client: Client, count: int, last: tuple[int, str] | None) -> Any:
            found = rows(client)
            if last is not None:
                at, name = last
                found = found.or_(f"position.gt.{at},and(position.eq.{at},name.gt.{quoted(name)})")
            return found.order("position").order("name").limit(count)

        def read(count: int, last: tuple[int, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="pricing.packages")

        return Slices(read, lambda row: (int(row["position"]), str(row["name"]))).page(limit, after)

    def known_packages(self, package_ids: Sequence[str]) -> set[str]:
        """Return the ids that belong to packages, including retired ones."""
        if not package_ids:
            return set()
        rows = self._gateway.select(
            lambda client: client.table("pricing_packages").select("id").in_("id", package_ids).limit(len(package_ids)),
            name="pricing.known_packages",
        )
        return {row["id"] for row in rows}

    def add_package(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored package. Raises Conflict if its name or price id exists already."""
        return insert(self._gateway, "pricing_packages", row)

    def change_package(self, package_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed package; None if it has another version. Raises Conflict."""
        return change(self._gateway, "pricing_packages", package_id, version, changes)

    def campaigns(self, *, limit: int, before: tuple[str, str] | None) -> Rows:
        """Return a page of campaigns, newest first, older than the (created_at, id) of `before`."""

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(
                lambda client: newest_first(client.table("pricing_campaigns").select("*"), count, last),
                name="pricing.campaigns",
            )

        return Slices(read, position).page(limit, before)

    def add_campaign(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored campaign. Raises Conflict if its code exists already."""
        return insert(self._gateway, "pricing_campaigns", row)

    def change_campaign(self, campaign_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed campaign; None if it has another version."""
        return change(self._gateway, "pricing_campaigns", campaign_id, version, changes)

    def redemptions(
        self, *, campaign_id: UUID | None, state: str | None, limit: int, before: tuple[str, str] | None
    ) -> Rows:
        """Return a page of redemptions, newest first; `state` is open, completed or released."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("campaign_redemptions").select("*")
            if campaign_id is not None:
                rows = rows.eq("campaign_id", str(campaign_id))
            match state:
                case "open":
                    rows = rows.is_("completed_at", "null").is_("released_at", "null")
                case "completed":
                    rows = rows.not_.is_("completed_at", "null").is_("released_at", "null")
                case "released":
                    rows = rows.not_.is_("released_at", "null")
            return newest_first(rows, count, last)

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="pricing.redemptions")

        return Slices(read, position).page(limit, before)

    def overdue_redemptions(self, before: datetime, limit: int) -> list[dict[str, Any]]:
        """Return open redemptions with checkouts that expired before this time, the oldest first."""
        return self._gateway.select(
            lambda client: (
                client.table("campaign_redemptions")
                .select("id,redemption_key,stripe_session_id")
                .is_("completed_at", "null")
                .is_("released_at", "null")
                .lt("expires_at", before.isoformat())
                .order("expires_at")
                .limit(limit)
            ),
            name="pricing.overdue_redemptions",
        )

    def redemption(self, redemption_id: UUID) -> dict[str, Any] | None:
        """Return a redemption of a code."""
        return find(self._gateway, "campaign_redemptions", redemption_id)

    def package(self, package_id: UUID) -> dict[str, Any] | None:
        """Return a package, even a retired one."""
        return find(self._gateway, "pricing_packages", package_id)

    def package_of(self, price_id: str) -> dict[str, Any] | None:
        """Return the package that has this price at Stripe, else the one that had it, even a retired one."""
        found = find(self._gateway, "package_prices", price_id, "pricing_packages(*)", by="stripe_price_id")
        package: dict[str, Any] | None = found and found["pricing_packages"]
        return package

    def campaign(self, campaign_id: UUID) -> dict[str, Any] | None:
        """Return a campaign."""
        return find(self._gateway, "pricing_campaigns", campaign_id)

    def granted_discount(self, subscription_id: UUID) -> dict[str, Any] | None:
        """Return what a subscription's discount covers: {"package_ids"}, None for all; None without a campaign."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "granted_discount", {"p_subscription_id": str(subscription_id)}
        )
        return found

    def quote(self, package_id: UUID, code: str | None, customer: str | None = None) -> dict[str, Any] | None:
        """Return the current price, given the customer's earlier uses of the code; None without such a package."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "quote_package", {"p_package_id": str(package_id), "p_code": code, "p_customer": customer}
        )
        return found

    def find_checkout(self, key: str, digest: str) -> dict[str, Any] | None:
        """Return the session that this key created: {"state": made or conflict, "id", "url"}; None if there is none."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "find_checkout", {"p_request_key": key, "p_request_hash": digest}
        )
        return found

    def begin_checkout(
        self,
        *,
        key: str,
        digest: str,
        request_id: UUID,
        package_id: UUID | None,
        code: str | None,
        user_id: UUID | None,
        customer: str | None,
    ) -> dict[str, Any]:
        """Start an attempt, and redeem the code if it applies; see the SQL function for the states."""
        begun: dict[str, Any] = self._gateway.rpc(
            "begin_checkout",
            {
                "p_request_key": key,
                "p_request_hash": digest,
                "p_request_id": str(request_id),
                "p_package_id": str(package_id) if package_id else None,
                "p_code": code,
                "p_user_id": str(user_id) if user_id else None,
                "p_customer": customer,
            },
        )
        return begun

    def finish_checkout(self, key: str, attempt: int, session_id: str, url: str) -> bool:
        """Record the session of an attempt. False if the attempt was replaced and the session must be expired."""
        return bool(
            self._gateway.rpc(
                "finish_checkout",
                {"p_request_key": key, "p_attempt": attempt, "p_session_id": session_id, "p_url": url},
            )
        )

    def fail_checkout(self, key: str, attempt: int, request_id: UUID) -> bool:
        """Record a failed attempt. Return whether a redemption of this request was released."""
        return bool(
            self._gateway.rpc(
                "fail_checkout", {"p_request_key": key, "p_attempt": attempt, "p_request_id": str(request_id)}
            )
        )

    def record_redemption(self, key: str, state: str) -> None:
        """Record the state of a redemption's checkout: expired, failed, paid or open (paid later)."""
        self._gateway.rpc("record_redemption", {"p_key": key, "p_state": state})
