"""Stores metrics of each call to a model provider."""

from collections.abc import Sequence
from typing import Any

from postgrest.types import ReturnMethod

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.group_commit import GroupCommit


class ModelMetricStore:
    """Rows of `model_metrics`, written by group commit."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._inserting: GroupCommit[None] = GroupCommit(self._insert)

    def add(self, row: dict[str, Any]) -> None:
        """Store the metrics of one call. Raises Unavailable."""
        self._inserting.submit(row)

    def _insert(self, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
        self._gateway.send(
            lambda client: client.table("model_metrics").insert(list(rows), returning=ReturnMethod.minimal).execute(),
            name="metrics.insert",
        )
        return [None] * len(rows)
