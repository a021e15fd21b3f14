"""Stores workflow definitions. Versions are added and retired, never changed."""

from collections.abc import Mapping
from typing import Any

from supabase import Client

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices

#: Versions read at once: each has a definition of up to 1 MiB.
VERSION_ROWS = 5
COLUMNS = "workflow_id,version,description,definition,created_by,created_at,retired_at"


class WorkflowStore:
    """Workflows in Postgres. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add(
        self, workflow_id: str, description: str, definition: Mapping[str, Any], *, created_by: str, seed: bool = False
    ) -> dict[str, Any]:
        """Add a version if it differs from the newest. Return {"version", "created"}."""
        result: dict[str, Any] = self._gateway.rpc(
            "add_workflow",
            {
                "p_workflow_id": workflow_id,
                "p_description": description,
                "p_definition": dict(definition),
                "p_created_by": created_by,
                "p_seed": seed,
            },
        )
        return result

    def retire(self, workflow_id: str) -> int:
        """Allow no new runs of the workflow. Return the number of versions retired."""
        count: int = self._gateway.rpc("retire_workflow", {"p_workflow_id": workflow_id})
        return count

    def newest_of_each(self, after: str, limit: int) -> Rows:
        """Return the newest active version of each workflow, by name."""

        def read(count: int, last: str | None) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = self._gateway.rpc("list_workflows", {"p_after": last or "", "p_limit": count})
            return rows

        return Slices(read, lambda row: str(row["workflow_id"])).page(limit, after)

    def versions(self, workflow_id: str, limit: int, before: int | None) -> Rows:
        """Return versions of a workflow below `before`, the newest first."""

        def query(client: Client, count: int, last: int | None) -> Any:
            rows = client.table("workflows").select(COLUMNS).eq("workflow_id", workflow_id)
            if last is not None:
                rows = rows.lt("version", last)
            return rows.order("version", desc=True).limit(count)

        def read(count: int, last: int | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="workflows.versions")

        return Slices(read, lambda row: int(row["version"]), rows=VERSION_ROWS).page(limit, before)

    def find(self, workflow_id: str, version: int | None) -> dict[str, Any] | None:
        """Return that version, or the newest active one, else the newest retired one; None if there is none."""
        rows = self._gateway.select(
            lambda client: (
                _narrowed(client.table("workflows").select(COLUMNS).eq("workflow_id", workflow_id), version)
                .order("retired_at", desc=True, nullsfirst=True)
                .order("version", desc=True)
                .limit(1)
            ),
            name="workflows.find",
        )
        return rows[0] if rows else None


def _narrowed(query: Any, version: int | None) -> Any:
    return query if version is None else query.eq("version", version)
