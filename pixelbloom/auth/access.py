"""Who may see and do what: one rule for every resource."""

from uuid import UUID

from pixelbloom.auth.permissions import PERMISSIONS, VISITORS
from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.errors import Forbidden


class Access:
    """Decides for a verified caller. Every method may raise Unavailable, where `user_profiles` has to be read.

    Administrators and services see everybody's rows, users their own, visitors those of their session. A token whose
    scopes do not name the resource sees its own rows at most (`Principal.own_only`).
    """

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    def is_admin(self, caller: Principal) -> bool:
        """Whether the caller is an administrator or a service."""
        return self._roles.is_admin(caller)

    def require_admin(self, caller: Principal, action: str) -> None:
        """Raise Forbidden unless the caller is an administrator or a service; `action` completes "may ..."."""
        if not self.is_admin(caller):
            raise Forbidden(f"Only an administrator or a service may {action}.")

    def may_see(self, caller: Principal, owner: UUID | None, visitor_id: UUID | None = None) -> bool:
        """Whether the caller may see a row of this owner; a row without an owner may be that of a visitor's session.

        The database is read only where the row is another user's.
        """
        if caller.kind == "visitor":
            return caller.visitor_id is not None and caller.visitor_id == visitor_id
        return caller.may_read(owner) or self.is_admin(caller)

    def listed_owner(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """Whose rows a list shows, where the request names this `user_id`; None means everybody's. Raises Forbidden."""
        if caller.kind == "visitor":
            raise Forbidden("A visitor's token opens no lists; sign in.")
        if user_id is None:
            return None if self.is_admin(caller) else caller.user_id
        if not self.may_see(caller, user_id):
            raise Forbidden("Only an administrator or a service may name another user_id; leave user_id out.")
        return user_id

    def new_owner(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """Who owns a new row: the user that is named, else the caller; None for a service or a visitor.

        Raises Forbidden where another user is named and the caller does not see that user's rows.
        """
        return self.listed_owner(caller, user_id) if user_id is not None else caller.user_id

    def acting_for(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """The user in whose name work is submitted or bought; an administrator acts for itself. Raises Forbidden."""
        if user_id is None:
            return caller.user_id
        if not caller.may_act_for(user_id):
            raise Forbidden("A user's token may name only its own user_id; leave user_id out, or use a service token.")
        return user_id

    def permissions(self, caller: Principal) -> tuple[str, ...]:
        """What the caller may do: the scopes that its token opens, and what its role alone decides."""
        if caller.kind == "visitor":
            return VISITORS
        admin = self.is_admin(caller)
        return tuple(
            permission.name
            for permission in PERMISSIONS
            if permission.opened_by(caller)
            and (admin or not permission.administrators)
            and (not caller.anonymous or not permission.named_users)
        )

    def unlimited(self, caller: Principal) -> tuple[str, ...]:
        """Those of the caller's permissions that reach everybody's rows, not only its own."""
        if not self.is_admin(caller):
            return ()
        return tuple(
            permission.name
            for permission in PERMISSIONS
            if caller.has_scope(permission.scope) and not permission.own_rows
        )
