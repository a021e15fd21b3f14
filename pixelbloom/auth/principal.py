"""The verified caller of a request or a socket."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

#: What a token's `scope` may name. The caller's own runs need none of these, but a scope that is not empty.
SCOPES = (
    *("analytics:read", "notifications:read", "notifications:write", "runs:read", "runs:write"),
    *("leads:read", "leads:write", "conversations:read", "conversations:write"),
    *("payments:read", "payments:write", "profiles:read", "profiles:write", "metrics:read"),
)


@dataclass(frozen=True)
class Principal:
    """Whom a verified token stands for. A visitor is nobody's user: it has a `visitor_id`, and no `user_id`.

    `scopes` is None where the token has no `scope` claim: it is not limited then.
    `admin` is what the token claims; `pixelbloom.auth.roles` adds what `user_profiles` has. `admin_by_profile` is true
    where the role comes from there alone: it can end before the token does. `own_only` takes everybody else's data
    away, from an administrator too. `anonymous` marks a user of Supabase's anonymous sign-in, limited as visitors are.
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
        """The name under which idempotency keys are kept: `user:<uuid>`, `visitor:<uuid>` or `service`."""
        return "service" if self.kind == "service" else f"{self.kind}:{self.visitor_id or self.user_id}"

    def may_act_for(self, user_id: UUID | None) -> bool:
        """Whether the caller may start work in that user's name; None means in nobody's name."""
        return self.kind == "service" or (user_id is not None and user_id == self.user_id)

    @property
    def sees_all(self) -> bool:
        """Whether the token, or the profile that was resolved, opens everybody's rows."""
        return self.kind == "service" or self.admin

    def may_read(self, owner: UUID | None) -> bool:
        """Whether the caller may see what belongs to `owner`; None means that it belongs to nobody."""
        return self.sees_all or (owner is not None and owner == self.user_id)

    def has_scope(self, name: str) -> bool:
        """Whether the token's `scope`, where it has one, names this scope."""
        return self.scopes is None or name in self.scopes
