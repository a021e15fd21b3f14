"""The permissions that `GET /api/me` lists; a test checks them against the resources."""

from dataclasses import dataclass

from pixelbloom.auth.principal import Principal


@dataclass(frozen=True)
class Permission:
    """A permission. `scope` grants it if the token is limited.

    `own_scoped`: for the user's own rows, any non-empty scope is enough. `named_users`: not for users of Supabase's
    anonymous sign-in. `own_rows`: covers only the caller's own rows, also for administrators.
    """

    name: str
    scope: str
    administrators: bool = False
    own_scoped: bool = False
    named_users: bool = False
    own_rows: bool = False

    def opened_by(self, caller: Principal) -> bool:
        """Return whether the token's scope, if any, grants this permission."""
        return caller.has_scope(self.scope) or (self.own_scoped and caller.kind == "user" and bool(caller.scopes))


#: The permissions of a visitor's token.
VISITORS = ("leads:write", "conversations:read", "conversations:write")
PERMISSIONS = (
    Permission("analytics:read", "analytics:read"),
    Permission("agents:analyze", "analytics:read", administrators=True),
    Permission("notifications:read", "notifications:read"),
    Permission("notifications:write", "notifications:write", administrators=True),
    Permission("runs:read", "runs:read", own_scoped=True),
    Permission("runs:write", "runs:write", own_scoped=True),
    Permission("workflows:execute", "runs:write", own_scoped=True, named_users=True),
    Permission("workflows:write", "runs:write", administrators=True),
    Permission("approvals:write", "runs:write", own_scoped=True, named_users=True),
    Permission("schedules:write", "runs:write", own_scoped=True, named_users=True),
    Permission("webhooks:read", "runs:read", own_scoped=True, named_users=True),
    Permission("leads:read", "leads:read"),
    Permission("leads:write", "leads:write"),
    Permission("conversations:read", "conversations:read"),
    Permission("conversations:write", "conversations:write"),
    Permission("payments:read", "payments:read"),
    Permission("payments:write", "payments:write"),
    Permission("pricing:write", "payments:write", administrators=True),
    Permission("profiles:read", "profiles:read"),
    Permission("profiles:write", "profiles:write", own_rows=True),
    Permission("metrics:read", "metrics:read", administrators=True),
)
