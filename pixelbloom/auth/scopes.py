"""Checks a token's `scope`. A token without the claim is not limited."""

from dataclasses import replace

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Forbidden


def needed(resource: str, *, write: bool) -> str:
    """Return the scope that a resource requires, like `leads:read`."""
    return f"{resource}:{'write' if write else 'read'}"


def check(caller: Principal, scope: str) -> None:
    """Raise Forbidden if the token lacks this scope. Visitors' tokens have their own limits."""
    if caller.kind != "visitor" and not caller.has_scope(scope):
        raise Forbidden(f"The token's scope does not include {scope}; use a token that has it.")


def narrowed(caller: Principal, scope: str) -> Principal:
    """Return the caller, restricted to own rows if its token lacks the scope.

    This applies to administrators too. Raises Forbidden for a token with an empty scope, and for a service, which owns
    no rows.
    """
    if caller.has_scope(scope):
        return caller
    if caller.kind == "service" or not caller.scopes:
        check(caller, scope)
    return replace(caller, admin=False, admin_by_profile=False, own_only=True)
