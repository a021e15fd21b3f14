"""Deletes rows whose retention has ended."""

from datetime import datetime

from pixelbloom.database.gateway import Gateway


class RetentionStore:
    """Every method may raise Unavailable, and may be repeated."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def purge(self, kind: str, before: datetime, limit: int) -> int:
        """Delete at most `limit` rows of a kind, the oldest first. Return the number deleted.

        The kinds, and what counts as a row's age, are those of the SQL function `purge_rows`.
        """
        deleted: int = self._gateway.rpc(
            "purge_rows", {"p_kind": kind, "p_before": before.isoformat(), "p_limit": limit}
        )
        return deleted
