"""What is still to be published."""

from collections.abc import Sequence
from typing import Any

from pixelbloom.database.gateway import Gateway


class OutboxStore:
    """Events written with the change they tell of, until they are known to be published."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def take(self, owner: str, published: Sequence[int], *, limit: int, lease_seconds: float) -> list[dict[str, Any]]:
        """Remove what was published and answer the next rows, oldest first; none while another relay has its turn."""
        answer = self._gateway.rpc(
            "take_outbox",
            {
                "p_owner": owner,
                "p_published": list(published),
                "p_limit": limit,
                "p_lease_seconds": lease_seconds,
            },
        )
        rows: list[dict[str, Any]] = answer["rows"]
        return rows
