"""Stores metrics of each call to a model provider."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from postgrest.types import ReturnMethod

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.group_commit import GroupCommit
from pixelbloom.models.request import ModelCall


class ModelMetricStore:
    """Rows of `model_metrics`, written by group commit."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._inserting: GroupCommit[None] = GroupCommit(self._insert)

    def add(self, call: ModelCall) -> None:
        """Store the metrics of one call. Raises Unavailable."""
        row = asdict(call)
        row["run_id"] = str(call.run_id) if call.run_id else None
        row["created_at"] = row.pop("at").isoformat()
        self._inserting.submit(row)

    def _insert(self, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
        self._gateway.send(
            lambda client: client.table("model_metrics").insert(list(rows), returning=ReturnMethod.minimal).execute(),
            name="metrics.insert",
        )
        return [None] * len(rows)
