"""What users should know."""

from typing import Any
from uuid import UUID

from pixelbloom.store.gateway import Gateway


class NotificationStore:
    """Notifications, each of one user. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def unread(self, user_id: UUID, limit: int) -> dict[str, Any]:
        """The newest unread as `items`, the number of all as `unread_count`, and as `untold` the ids of those whose
        event may not be published yet.
        """
        answer: dict[str, Any] = self._gateway.rpc(
            "unread_notifications", {"p_user_id": str(user_id), "p_limit": limit}
        )
        return answer
