"""Storage of purchases, and of the Stripe events they are derived from."""

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

    def record(self, event: Mapping[str, Any], state: Mapping[str, Any] | None, error: str | None = None) -> bool:
        """Store an event under its id, once. Return whether it is new.

        Without a state it is ignored, or with an error dead-lettered.
        """
        return bool(
            self._gateway.rpc(
                "record_stripe_event",
                {
                    "p_id": event["id"],
                    "p_type": event["type"],
                    "p_subject": state["subject"] if state else None,
                    "p_payload": dict(state) if state else {},
                    "p_occurred_at": datetime.fromtimestamp(event["created"], UTC).isoformat(),
                    "p_handled": state is not None,
                    "p_error": error,
                },
            )
        )

    def due(self, limit: int) -> list[str]:
        """Return the ids of events that wait for a worker."""
        ids: list[str] = self._gateway.rpc("due_stripe_events", {"p_limit": limit})
        return ids

    def begin(self, event_id: str, lease_seconds: float, max_attempts: int = 12) -> dict[str, Any] | None:
        """Lease an event: {"id", "type", "state", "attempts", "token"}; None if there is nothing to do.

        An event without attempts left, because workers died processing it, is dead-lettered.
        """
        begun: dict[str, Any] | None = self._gateway.rpc(
            "begin_stripe_event",
            {"p_id": event_id, "p_lease_seconds": lease_seconds, "p_max_attempts": max_attempts},
        )
        return begun

    def apply(self, event_id: str, state: Mapping[str, Any], token: int | None = None) -> dict[str, Any] | None:
        """Apply a state. Return {"status": processed or ignored, "ambiguous_order"}; None if the lease was lost.

        `ambiguous_order`: only Stripe knows whether this state or the stored one is later. Both are of one second, or
        the state is a response's and `over`, which was stored before its request, is no longer stored.
        """
        applied: dict[str, Any] | None = self._gateway.rpc(
            "apply_stripe_state", {"p_event_id": event_id, "p_state": dict(state), "p_token": token}
        )
        return applied

    def stored_by(self, object_id: str) -> str | None:
        """Return the id of the event or response whose state of this Stripe object is stored; None without one."""
        rows = self._gateway.select(
            lambda client: client.table("stripe_objects").select("event_id").eq("id", object_id).limit(1),
            name="payments.stored_by",
        )
        return rows[0]["event_id"] if rows else None

    def fail(self, event_id: str, token: int, error: str, *, retry_seconds: float, final: bool) -> str | None:
        """Record a failed attempt. Return received or failed."""
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
        """Queue an event for processing again. Return its previous status; None if it does not exist."""
        status: str | None = self._gateway.rpc("replay_stripe_event", {"p_id": event_id})
        return status

    def checkout_of(self, payment_intent: str) -> str | None:
        """Return the subject of the checkout of a payment."""
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
        """Return a user's newest active subscription, else the newest of all; or the one of this id.

        Purchases of the account itself come before those for its address.
        """
        found: dict[str, Any] | None = self._gateway.rpc(
            "current_subscription",
            {"p_user_id": str(user_id), "p_id": str(subscription_id) if subscription_id else None},
        )
        return found

    def claim(self, user_id: UUID) -> int:
        """Assign a user the purchases made with the user's verified address; return their number."""
        return int(self._gateway.rpc("claim_purchases", {"p_user_id": str(user_id)}))

    def known(self, subscription_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Return the stored states of these Stripe subscriptions, by id; an empty one of a purchase without a state."""
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
        known = {row["id"]: row["body"] for row in rows}
        # Of these only the checkout's event arrived.
        bought = self._gateway.select(
            lambda client: (
                client.table("user_subscriptions")
                .select("stripe_subscription_id")
                .in_("stripe_subscription_id", subscription_ids)
                .limit(len(subscription_ids))
            ),
            name="payments.bought",
        )
        return {row["stripe_subscription_id"]: {} for row in bought} | known

    def open_subscriptions(self, limit: int, after: str) -> list[str]:
        """Return Stripe ids of active subscriptions, in order, after this one."""
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
        """Return a page of events, newest first, older than the (received_at, id) of `before`."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("stripe_events").select(EVENT_COLUMNS)
            return newest_first(rows.eq("status", status) if status else rows, count, last, by="received_at")

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="payments.events")

        return Slices(read, lambda row: position(row, by="received_at")).page(limit, before)
