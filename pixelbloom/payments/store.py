"""Purchases, and the events of Stripe that they follow from."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices, newest_first, position

EVENT_COLUMNS = "id,type,subject,status,attempts,error,occurred_at,received_at,processed_at"


class PaymentStore:
    """Every method may raise Unavailable or RejectedData."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def record(self, event: Mapping[str, Any], fact: Mapping[str, Any] | None, error: str | None = None) -> bool:
        """Store an event under its own id, once. Returns whether it is new.

        Without a fact it is ignored, or, where an error says why it cannot be read, dead-lettered.
        """
        return bool(
            self._gateway.rpc(
                "record_stripe_event",
                {
                    "p_id": event["id"],
                    "p_type": event["type"],
                    "p_subject": fact["subject"] if fact else None,
                    "p_payload": dict(fact) if fact else {},
                    "p_occurred_at": datetime.fromtimestamp(event["created"], UTC).isoformat(),
                    "p_handled": fact is not None,
                    "p_error": error,
                },
            )
        )

    def due(self, limit: int) -> list[str]:
        """The ids of events that wait for a worker."""
        ids: list[str] = self._gateway.rpc("due_stripe_events", {"p_limit": limit})
        return ids

    def begin(self, event_id: str, lease_seconds: float, max_attempts: int = 12) -> dict[str, Any] | None:
        """Take an event: {"id", "type", "fact", "attempts", "token"}; None where there is nothing to do.

        One whose attempts are used up, by workers that died over it, is dead-lettered.
        """
        begun: dict[str, Any] | None = self._gateway.rpc(
            "begin_stripe_event",
            {"p_id": event_id, "p_lease_seconds": lease_seconds, "p_max_attempts": max_attempts},
        )
        return begun

    def apply(self, event_id: str, fact: Mapping[str, Any], token: int | None = None) -> dict[str, Any] | None:
        """Take a fact in. Answers {"status": processed or ignored, "tied"}; None where the lease was lost.

        `tied` says that another event of the same second tells it otherwise.
        """
        applied: dict[str, Any] | None = self._gateway.rpc(
            "apply_stripe_fact", {"p_event_id": event_id, "p_fact": dict(fact), "p_token": token}
        )
        return applied

    def fail(self, event_id: str, token: int, error: str, *, retry_seconds: float, final: bool) -> str | None:
        """Record an attempt that came to nothing. Answers received or failed."""
        status: str | None = self._gateway.rpc(
            "fail_stripe_event",
            {
                "p_id": event_id,
                "p_token": token,
                "p_error": error,
                "p_retry_seconds": retry_seconds,
                "p_final": final,
            },
        )
        return status

    def replay(self, event_id: str) -> str | None:
        """Let an event be processed again. Answers its status before; None where there is none."""
        status: str | None = self._gateway.rpc("replay_stripe_event", {"p_id": event_id})
        return status

    def checkout_of(self, payment_intent: str) -> str | None:
        """The subject of the checkout that a payment was for."""
        rows = self._gateway.select(
            lambda client: (
                client.table("stripe_objects")
                .select("subject")
                .eq("kind", "checkout")
                .filter("body->>payment_intent", "eq", payment_intent)
                .limit(1)
            ),
            name="payments.checkout_of",
        )
        return rows[0]["subject"] if rows else None

    def current(self, user_id: UUID, subscription_id: UUID | None = None) -> dict[str, Any] | None:
        """A user's newest subscription that is not over, else the newest of all; or the one of this id."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "current_subscription",
            {"p_user_id": str(user_id), "p_id": str(subscription_id) if subscription_id else None},
        )
        return found

    def claim(self, user_id: UUID) -> int:
        """Give a user the purchases that were made with its verified address; returns how many it got."""
        return int(self._gateway.rpc("claim_purchases", {"p_user_id": str(user_id)}))

    def known(self, subscription_ids: list[str]) -> dict[str, dict[str, Any]]:
        """What we know of these subscriptions of Stripe, by id."""
        rows = self._gateway.select(
            lambda client: (
                client.table("stripe_objects")
                .select("id,body")
                .eq("kind", "subscription")
                .in_("id", subscription_ids)
                .limit(len(subscription_ids))
            ),
            name="payments.known",
        )
        return {row["id"]: row["body"] for row in rows}

    def open_subscriptions(self, limit: int, after: str) -> list[str]:
        """Ids of Stripe's of those that are not over, in their order, after this one."""
        rows = self._gateway.select(
            lambda client: (
                client.table("user_subscriptions")
                .select("stripe_subscription_id")
                .neq("status", "cancelled")
                .gt("stripe_subscription_id", after)
                .order("stripe_subscription_id")
                .limit(limit)
            ),
            name="payments.open_subscriptions",
        )
        return [row["stripe_subscription_id"] for row in rows]

    def events(self, *, limit: int, status: str | None, before: tuple[str, str] | None = None) -> Rows:
        """The newest events, at most `limit`, from after the (received_at, id) of `before` on."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("stripe_events").select(EVENT_COLUMNS)
            return newest_first(rows.eq("status", status) if status else rows, count, last, by="received_at")

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="payments.events")

        return Slices(read, lambda row: position(row, by="received_at")).page(limit, before)
