"""Stores schedules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from supabase import Client

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices, newest_first, position
from pixelbloom.database.rows import find

COLUMNS = (
    "id,user_id,caller,kind,target,input,metadata,cron,timezone,active,next_run_at,last_run_at,last_run_id,last_error,"
    "created_at"
)


class ScheduleStore:
    """Schedules in Postgres. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add(self, schedule: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """Store a schedule. Return {"outcome": "added" | "full", "schedule"}."""
        result: dict[str, Any] = self._gateway.rpc("add_schedule", {"p_schedule": dict(schedule), "p_limit": limit})
        return result

    def due(self, now: datetime, limit: int) -> list[dict[str, Any]]:
        """Return due schedules, the longest waiting first."""
        return self._gateway.select(
            lambda client: (
                client.table("schedules")
                .select(COLUMNS)
                .eq("active", True)
                .lte("next_run_at", now.isoformat())
                .order("next_run_at")
                .limit(limit)
            ),
            name="schedules.due",
        )

    def advance(
        self, schedule_id: UUID, *, expected: str, following: datetime, run_id: UUID | None, error: str | None
    ) -> bool:
        """Advance a schedule to its next time. Return False if another process did so."""
        done: bool = self._gateway.rpc(
            "advance_schedule",
            {
                "p_id": str(schedule_id),
                "p_expected": expected,
                "p_next": following.isoformat(),
                "p_run_id": str(run_id) if run_id else None,
                "p_error": error,
            },
        )
        return done

    def set_active(self, schedule_id: UUID, *, active: bool, following: datetime) -> dict[str, Any] | None:
        """Pause a schedule, or resume it at `following`. Return the schedule, or None if there is none."""
        row: dict[str, Any] | None = self._gateway.rpc(
            "set_schedule_active",
            {"p_id": str(schedule_id), "p_active": active, "p_next": following.isoformat()},
        )
        return row

    def find(self, schedule_id: UUID) -> dict[str, Any] | None:
        """Return a schedule, or None."""
        return find(self._gateway, "schedules", schedule_id, COLUMNS)

    def remove(self, schedule_id: UUID) -> None:
        """Delete a schedule; runs that it started continue."""
        self._gateway.send(
            lambda client: client.table("schedules").delete().eq("id", str(schedule_id)).execute(),
            name="schedules.remove",
        )

    def page(self, *, owner: UUID | None, limit: int, before: tuple[str, str] | None) -> Rows:
        """Return at most `limit` schedules, newest first; `owner` None means all users'."""

        def query(client: Client, count: int, last: tuple[str, str] | None) -> Any:
            rows = client.table("schedules").select(COLUMNS)
            return newest_first(rows if owner is None else rows.eq("user_id", str(owner)), count, last)

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(lambda client: query(client, count, last), name="schedules.page")

        return Slices(read, position).page(limit, before)
