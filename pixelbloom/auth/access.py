"""Authorization: one set of rules for every resource."""

from uuid import UUID

from pixelbloom.auth.permissions import PERMISSIONS, VISITORS
from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.errors import Forbidden


class Access:
    """Authorizes a verified caller. Every method may raise Unavailable when it has to read `user_profiles`.

    Administrators and services see all rows, users their own, visitors those of their session. A token without the
    resource's scope sees at most its own rows (`Principal.own_only`).
    """

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    def is_admin(self, caller: Principal) -> bool:
        """Return whether the caller is an administrator or a service."""
        return self._roles.is_admin(caller)

    def require_admin(self, caller: Principal, action: str) -> None:
        """Raise Forbidden unless the caller is an administrator or a service; `action` completes "may ..."."""
        if not self.is_admin(caller):
            raise Forbidden(f"Only an administrator or a service may {action}.")

    def may_see(self, caller: Principal, owner: UUID | None, visitor_id: UUID | None = None) -> bool:
        """Return whether the caller may see a row of this owner, or without one, of this visitor's session.

        The database is read only for another user's row.
        """
        if caller.kind == "visitor":
            return caller.visitor_id is not None and caller.visitor_id == visitor_id
        return caller.may_read(owner) or self.is_admin(caller)

    def listed_owner(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """Return the owner whose rows a list for `user_id` shows; None means all rows. Raises Forbidden."""
        if caller.kind == "visitor":
            raise Forbidden("A visitor's token cannot list resources; sign in.")
        if user_id is None:
            return None if self.is_admin(caller) else caller.user_id
        if not self.may_see(caller, user_id):
            raise Forbidden("Only an administrator or a service may name another user_id; leave user_id out.")
        return user_id

    def new_owner(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """Return the owner of a new row: the named user, else the caller; None for a service or a visitor.

        Raises Forbidden if the named user is another one whose rows the caller may not see.
        """
        return self.listed_owner(caller, user_id) if user_id is not None else caller.user_id

    def owner_columns(self, caller: Principal, user_id: UUID | None) -> dict[str, str | None]:
        """Return the columns of a new row that name its owner, a user or a visitor. Raises as `new_owner`."""
        owner = {"user_id": self.new_owner(caller, user_id), "visitor_id": caller.visitor_id}
        return {name: str(value) if value else None for name, value in owner.items()}

    def acting_for(self, caller: Principal, user_id: UUID | None) -> UUID | None:
        """Return the user for whom work is submitted or bought; administrators act for themselves. Raises Forbidden."""
        if user_id is None:
            return caller.user_id
        if not caller.may_act_for(user_id):
            raise Forbidden("A user's token may name only its own user_id; leave user_id out, or use a service token.")
        return user_id

    def permissions(self, caller: Principal) -> tuple[str, ...]:
        """Return the names of the caller's permissions, from its token's scopes and its role."""
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
        """Return the caller's permissions that cover all users' rows."""
        if not self.is_admin(caller):
            return ()
        return tuple(
            permission.name
            for permission in PERMISSIONS
            if caller.has_scope(permission.scope) and not permission.own_rows
        )


def refuse_anonymous(caller: Principal) -> None:
    """Raise Forbidden for a user of Supabase's anonymous sign-in, if ANONYMOUS_USERS is limited."""
    if caller.anonymous:
        raise Forbidden("Anonymous users may not use schedules, workflows or webhooks; add an e-mail address first.")
