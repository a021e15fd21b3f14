"""Reads the administrators in `user_profiles`."""

from collections.abc import Collection
from uuid import UUID

from pixelbloom.database.gateway import Gateway


class ProfileStore:
    """User profiles in Postgres."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def admins_among(self, user_ids: Collection[UUID]) -> set[UUID]:
        """Return those users who are administrators in `user_profiles`, in one query. Raises Unavailable."""
        found = self._gateway.rpc("admins_among", {"p_users": [str(user_id) for user_id in user_ids]})
        return {UUID(user_id) for user_id in found}
