"""Broadcasts: notifications of administrators to many users."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.rows import find, insert

#: Users served in one transaction.
BATCH = 500
#: Batches per call; the next beat continues.
MAX_BATCHES = 40
OPEN_LIMIT = 20


class BroadcastStore:
    """Notifications to many users. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add(
        self, notification: Mapping[str, Any], user_ids: Sequence[UUID] | None, created_by: UUID | None
    ) -> dict[str, Any]:
        """Store a broadcast to be sent; `user_ids` of None means all users. Return its row."""
        row = {
            "notification": dict(notification),
            "user_ids": None if user_ids is None else [str(one) for one in user_ids],
            "created_by": str(created_by) if created_by else None,
        }
        return insert(self._gateway, "broadcasts", row)

    def find(self, broadcast_id: UUID) -> dict[str, Any] | None:
        return find(self._gateway, "broadcasts", broadcast_id)

    def open(self, limit: int) -> list[UUID]:
        """Return the ids of unsent broadcasts, oldest first."""
        rows = self._gateway.select(
            lambda client: (
                client.table("broadcasts").select("id").eq("status", "sending").order("created_at").limit(limit)
            ),
            name="broadcasts.open",
        )
        return [UUID(row["id"]) for row in rows]

    def send(self, broadcast_id: UUID, limit: int) -> bool:
        """Send the next batch. Return whether there is more."""
        return bool(self._gateway.rpc("send_broadcast", {"p_id": str(broadcast_id), "p_limit": limit})["left"])


class BroadcastSender:
    """Sends stored broadcasts in batches."""

    def __init__(self, store: BroadcastStore) -> None:
        self._store = store

    def send(self) -> int:
        """Send the open broadcasts, one batch of users per transaction. Return the number of batches.

        Safe to repeat, also concurrently: each user gets a broadcast once. May raise Unavailable.
        """
        batches = 0
        while (ids := self._store.open(OPEN_LIMIT)) and batches < MAX_BATCHES:
            for broadcast_id in ids:
                self._store.send(broadcast_id, BATCH)
                batches += 1
        return batches
