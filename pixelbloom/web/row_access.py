"""Whose rows a caller may make and list: users their own, services and administrators everybody's."""

from uuid import UUID

from pixelbloom.errors import Forbidden
from pixelbloom.web.caller import principal
from pixelbloom.web.services import services


def owner(user_id: UUID | None) -> UUID | None:
    """Whose a new row is. Raises Forbidden."""
    return whose_rows(user_id) if user_id is not None else principal().user_id


def whose_rows(user_id: UUID | None) -> UUID | None:
    """Whose rows to list; None means everybody's. Raises Forbidden."""
    caller, roles = principal(), services().roles
    if user_id is None:
        return None if roles.is_admin(caller) else caller.user_id
    if not roles.may_read(caller, user_id):
        raise Forbidden("Only a service or an administrator may name another user_id; leave it out.")
    return user_id


def text_or_none(row_id: UUID | None) -> str | None:
    """As a row has it."""
    return str(row_id) if row_id else None
