"""Stores webhook deliveries and the outcomes of their attempts."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices, newest_first, position
from pixelbloom.database.rows import find

COLUMNS = (
    "id,run_id,user_id,url,event,status,attempts,next_attempt_at,last_status_code,last_error,outcomes,created_at,"
    "finished_at"
)
#: Concurrent attempts per user and per host.
USER_LIMIT, HOST_LIMIT = 3, 6
#: Consecutive attempts without a response that open a host's circuit, and for how many seconds; doubling.
BREAKER_FAILURES, BREAKER_SECONDS = 5, 30.0


class WebhookStore:
    """Webhook deliveries in Postgres. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway, *, user_limit: int = USER_LIMIT, host_limit: int = HOST_LIMIT) -> None:
        self._gateway = gateway
        self._limits = {"p_user_limit": user_limit, "p_host_limit": host_limit}

    def take(self, limit: int, lease_seconds: float) -> list[dict[str, Any]]:
        """Lease due deliveries and return their {"id", "token"}.

        Users and hosts do not exceed their limits of concurrent attempts; unreachable hosts are skipped.
        """
        rows: list[dict[str, Any]] = self._gateway.rpc(
            "take_webhooks", {"p_limit": limit, "p_lease_seconds": lease_seconds, **self._limits}
        )
        return rows

    def begin(self, delivery_id: UUID, token: int, lease_seconds: float) -> dict[str, Any] | None:
        """Begin a leased attempt. Return {"run_id", "url", "event", "attempts", "token"}.

        `finish` needs the returned token. None if the attempt was begun before or replaced, or the delivery has ended.
        """
        begun: dict[str, Any] | None = self._gateway.rpc(
            "begin_webhook", {"p_id": str(delivery_id), "p_token": token, "p_lease_seconds": lease_seconds}
        )
        return begun

    def find(self, delivery_id: UUID) -> dict[str, Any] | None:
        """Return a delivery, or None."""
        return find(self._gateway, "webhook_deliveries", delivery_id, COLUMNS)

    def finish(self, delivery_id: UUID, token: int, ending: Mapping[str, Any]) -> str | None:
        """Record an attempt. Return the delivery's status, or None if another attempt replaced it."""
        status: str | None = self._gateway.rpc(
            "finish_webhook",
            {
                "p_id": str(delivery_id),
                "p_token": token,
                "p_failures": BREAKER_FAILURES,
                "p_open_seconds": BREAKER_SECONDS,
                **{f"p_{name}": value for name, value in ending.items()},
            },
        )
        return status

    def redeliver(self, delivery_id: UUID) -> str | None:
        """Retry an ended delivery. Return its previous status, or None if there is no such delivery."""
        status: str | None = self._gateway.rpc("redeliver_webhook", {"p_id": str(delivery_id)})
        return status

    def page(self, *, limit: int, filters: Mapping[str, str], before: tuple[str, str] | None) -> Rows:
        """Return at most `limit` deliveries, newest first, after the (created_at, id) of `before`."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("webhook_deliveries").select(COLUMNS)
            for column, value in filters.items():
                rows = rows.eq(column, value)
            return newest_first(rows, count, last)

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="webhooks.page")

        return Slices(read, position).page(limit, before)
