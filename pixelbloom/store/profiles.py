"""Who is an administrator, by `user_profiles`."""

from uuid import UUID

from pixelbloom.store.gateway import Gateway


class ProfileStore:
    """Profiles of users."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def is_admin(self, user_id: UUID) -> bool:
        """Whether `user_profiles` makes this user an administrator. Raises Unavailable."""
        rows = self._gateway.select(
            lambda client: client.table("user_profiles").select("role").eq("user_id", str(user_id)),
            name="profiles.is_admin",
        )
        return any(row["role"] == "admin" for row in rows)

    def check(self) -> None:
        """Whether the database answers. Raises Unavailable or ConfigurationError."""
        self._gateway.select(
            lambda client: client.table("user_profiles").select("user_id").limit(1), name="profiles.check"
        )
