"""The outbox of events to publish."""

from collections.abc import Sequence
from typing import Any

from pixelbloom.database.gateway import Gateway


class OutboxStore:
    """Events written in the transaction of their change, removed once published."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def take(self, owner: str, published: Sequence[int], *, limit: int, lease_seconds: float) -> list[dict[str, Any]]:
        """Remove published rows and return the next ones, oldest first; none while another relay has the lease."""
        rows: list[dict[str, Any]] = self._gateway.rpc(
            "take_outbox",
            {
                "p_owner": owner,
                "p_published": list(published),
                "p_limit": limit,
                "p_lease_seconds": lease_seconds,
            },
        )
        return rows
