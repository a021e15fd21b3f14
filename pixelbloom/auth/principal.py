"""The verified caller of a request or a socket, and what the scopes of its token allow."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from pixelbloom.errors import Forbidden

#: The scopes of tokens. For the caller's own runs, any non-empty scope is enough.
SCOPES = (
    *("analytics:read", "notifications:read", "notifications:write", "runs:read", "runs:write"),
    *("leads:read", "leads:write", "conversations:read", "conversations:write"),
    *("payments:read", "payments:write", "profiles:read", "profiles:write", "metrics:read"),
)


@dataclass(frozen=True)
class Principal:
    """The caller that a verified token identifies. A visitor has a `visitor_id` and no `user_id`.

    `scopes` is None if the token has no `scope` claim and so is not limited.
    `admin` comes from the token; `pixelbloom.auth.roles` adds the role in `user_profiles`. `admin_by_profile` is true
    if the role comes only from there: it can end before the token expires. `own_only` restricts the caller, even an
    administrator, to own data. `anonymous` marks a user of Supabase's anonymous sign-in, limited as visitors are.
    """

    kind: Literal["user", "service", "visitor"]
    user_id: UUID | None
    admin: bool
    scopes: frozenset[str] | None
    expires_at: datetime
    visitor_id: UUID | None = None
    admin_by_profile: bool = False
    own_only: bool = False
    anonymous: bool = False

    @property
    def caller(self) -> str:
        """The namespace of idempotency keys: `user:<uuid>`, `visitor:<uuid>` or `service`."""
        return "service" if self.kind == "service" else f"{self.kind}:{self.visitor_id or self.user_id}"

    def may_act_for(self, user_id: UUID | None) -> bool:
        """Return whether the caller may start work for that user; None means for no user."""
        return self.kind == "service" or (user_id is not None and user_id == self.user_id)

    @property
    def sees_all(self) -> bool:
        """Whether the token, or the resolved profile, grants access to all rows."""
        return self.kind == "service" or self.admin

    def may_read(self, owner: UUID | None) -> bool:
        """Return whether the caller may see rows of `owner`; None means rows without an owner."""
        return self.sees_all or (owner is not None and owner == self.user_id)

    def has_scope(self, name: str) -> bool:
        """Return whether the token has this scope or is not limited."""
        return self.scopes is None or name in self.scopes

    def require(self, scope: str) -> None:
        """Raise Forbidden if the token lacks this scope. Visitors' tokens have their own limits."""
        if self.kind != "visitor" and not self.has_scope(scope):
            raise Forbidden(f"The token's scope does not include {scope}; use a token that has it.")

    def narrowed(self, scope: str) -> "Principal":
        """Return the caller, restricted to own rows if its token lacks the scope.

        This applies to administrators too. Raises Forbidden for a token with an empty scope, and for a service, which
        owns no rows.
        """
        if self.has_scope(scope):
            return self
        if self.kind == "service" or not self.scopes:
            self.require(scope)
        return replace(self, admin=False, admin_by_profile=False, own_only=True)


def scope_of(resource: str, *, write: bool) -> str:
    """Return the scope that a resource requires, like `leads:read`."""
    return f"{resource}:{'write' if write else 'read'}"
