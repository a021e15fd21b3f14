"""What a token's `scope` opens, where it has one. A token without the claim is not limited."""

from dataclasses import replace

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Forbidden


def needed(resource: str, *, write: bool) -> str:
    """The scope that opens a resource, like `leads:read`."""
    return f"{resource}:{'write' if write else 'read'}"


def check(caller: Principal, scope: str) -> None:
    """Raise Forbidden where the token's scopes do not name this one. Visitors' tokens have their own limits."""
    if caller.kind != "visitor" and not caller.has_scope(scope):
        raise Forbidden(f"The token's scope does not name {scope}; use a token whose scope does.")


def narrowed(caller: Principal, scope: str) -> Principal:
    """The caller of a resource whose own rows need no scope of their own.

    A user whose scopes name others reaches its own rows alone, an administrator too. Raises Forbidden for a token whose
    scope is empty, and for a service, which has no rows of its own.
    """
    if caller.has_scope(scope):
        return caller
    if caller.kind == "service" or not caller.scopes:
        check(caller, scope)
    return replace(caller, admin=False, admin_by_profile=False, own_only=True)
