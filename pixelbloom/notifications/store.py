"""Stores the notifications of users."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pixelbloom.core.time_zones import iso_utc
from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Filtered, Rows, Slices, position


class NotificationStore:
    """Notifications of users. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def unread(self, user_id: UUID, limit: int) -> dict[str, Any]:
        """Return the newest unread as `items`, the number of all unread as `unread_count`, and as `unpublished` the
        ids of those with events that may not be published yet.
        """
        found: dict[str, Any] = self._gateway.rpc("unread_notifications", {"p_user_id": str(user_id), "p_limit": limit})
        return found

    def page(
        self,
        user_id: UUID | None,
        *,
        limit: int,
        unread_only: bool,
        kind: str | None,
        before: tuple[str, str] | None,
        total: bool = False,
    ) -> tuple[Rows, int | None]:
        """Return a page, newest first, older than the (created_at, id) of `before`, and the user's unread count.

        Without a user, return everybody's, without an unread count. With `total`, count all matching rows too.
        """
        unread: int | None = None

        def narrow(rows: Any) -> Any:
            rows = rows.or_(f"expires_at.is.null,expires_at.gt.{iso_utc(datetime.now(UTC))}")
            if user_id is not None:
                rows = rows.eq("user_id", str(user_id))
            if unread_only:
                rows = rows.is_("read", "false")
            return rows.eq("notification_type", kind) if kind is not None else rows

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            nonlocal unread
            at, row_id = last or (None, None)
            found: dict[str, Any] = self._gateway.rpc(
                "list_notifications",
                {
                    "p_user_id": str(user_id) if user_id else None,
                    "p_limit": count,
                    "p_unread_only": unread_only,
                    "p_type": kind,
                    "p_before": at,
                    "p_before_id": row_id,
                },
            )
            unread = found["unread_count"]
            items: list[dict[str, Any]] = found["items"]
            return items

        page = Slices(read, position).page(limit, before)
        return Filtered(self._gateway, "notifications", narrow).counted(page, wanted=total), unread

    def count_unread(self, user_id: UUID) -> int:
        return int(self._gateway.rpc("count_unread", {"p_user_id": str(user_id)}))

    def find(self, user_id: UUID | None, notification_id: UUID) -> dict[str, Any] | None:
        """Return a notification of the user; without a user, anybody's."""
        found: dict[str, Any] | None = self._gateway.rpc(
            "find_notification", {"p_user_id": str(user_id) if user_id else None, "p_id": str(notification_id)}
        )
        return found

    def mark_read(self, user_id: UUID, notification_ids: Sequence[UUID] | None) -> dict[str, Any]:
        """Mark some of the user's notifications, or all. Return {"marked", "unread_count"}."""
        ids = None if notification_ids is None else [str(one) for one in notification_ids]
        marked: dict[str, Any] = self._gateway.rpc("mark_notifications_read", {"p_user_id": str(user_id), "p_ids": ids})
        return marked

    def remove(self, user_id: UUID | None, notification_id: UUID) -> bool:
        """Delete a notification of the user, or without a user anybody's. Return whether it existed."""
        named = {"p_user_id": str(user_id) if user_id else None, "p_id": str(notification_id)}
        return bool(self._gateway.rpc("remove_notification", named))

    def purge(self, read_before: datetime, limit: int) -> int:
        """Delete at most `limit` notifications that expired or were read before `read_before`. Return the number."""
        return int(
            self._gateway.rpc("purge_notifications", {"p_read_before": read_before.isoformat(), "p_limit": limit})
        )
