"""The verified caller of a request."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from flask import g, request

from pixelbloom.auth.access import refuse_anonymous
from pixelbloom.auth.principal import Principal, scope_of
from pixelbloom.core.addresses import visitor_address
from pixelbloom.errors import NotFound, Unauthenticated
from pixelbloom.web.container import services
from pixelbloom.web.http.schemas import uuid_or_none

T = TypeVar("T")

#: The blueprints that anonymous users may not use.
_FOR_NAMED_USERS = frozenset({"approvals", "workflows", "workflow_runs", "schedules", "webhooks"})


def authenticate() -> None:
    """Verify the token of a request, before its body is read."""
    g.principal = _verified(bearer_token(request.headers.get("Authorization")))


def scoped(resource: str, before: Callable[[], None] = authenticate) -> Callable[[], None]:
    """Return a check that also requires the scope `<resource>:read`, or `:write` for changes."""

    def check() -> None:
        before()
        principal().require(scope_of(resource, write=_changes()))

    return check


def own_or_scoped(resource: str) -> Callable[[], None]:
    """Return a check that requires the scope only for other users' rows; without it the caller sees own rows."""

    def check() -> None:
        authenticate()
        g.principal = principal().narrowed(scope_of(resource, write=_changes()))

    return check


def own_or_scoped_or_no_token(resource: str) -> Callable[[], None]:
    """Return a check that also accepts visitors' tokens, and no token while VISITORS is on.

    Without a token `g.principal` is None. A token that is sent must be valid.
    """
    named = own_or_scoped(resource)

    def check() -> None:
        header = request.headers.get("Authorization")
        if header is None and services().settings.visitors:
            g.principal = None
            return
        g.principal = services().visitors.read(bearer_token(header))
        if g.principal is None:
            named()

    return check


def authenticate_or_visitor(*operations: str) -> Callable[[], None]:
    """Return a check that accepts visitors' tokens for these operations."""

    def check() -> None:
        token = bearer_token(request.headers.get("Authorization"))
        open_to_visitors = (request.endpoint or "").rpartition(".")[2] in operations
        visitor = services().visitors.read(token) if open_to_visitors else None
        g.principal = visitor or _verified(token)

    return check


def own_or_scoped_stream(of_visitors: str) -> Callable[[], None]:
    """Return a check of event streams of runs, whose token may also be in the query: EventSource sends no headers.

    The operation `of_visitors` accepts visitors' tokens too; others are not for anonymous users. The caller's role is
    resolved: a stream outlives the request.
    """

    def check() -> None:
        token = request.args.get("token") or bearer_token(request.headers.get("Authorization"))
        open_to_visitors = (request.endpoint or "").rpartition(".")[2] == of_visitors
        visitor = services().visitors.read(token) if open_to_visitors else None
        if visitor is not None:
            g.principal = visitor
            return
        found = services().roles.resolve(services().verifier.verify(token))
        if not open_to_visitors:
            refuse_anonymous(found)
        g.principal = found.narrowed("runs:read")

    return check


def authenticate_if_named() -> None:
    """Verify the token of a request that needs none, if one is sent."""
    header = request.headers.get("Authorization")
    g.principal = _verified(bearer_token(header)) if header is not None else None


def caller_or_address() -> str:
    """Return the name to count under: the caller, or the network address if there is no token."""
    found: Principal | None = g.principal
    return found.caller if found is not None else address()


def account_or_address() -> str:
    """Return the name to count under: the caller, or the network address without an account.

    One address may open many sessions of visitors.
    """
    found: Principal | None = g.principal
    if found is None or found.kind == "visitor" or found.anonymous:
        return address()
    return found.caller


def address() -> str:
    """Return the name under which the request's network address is counted."""
    return f"address:{visitor_address(request.remote_addr)}"


def _verified(token: str) -> Principal:
    found = services().verifier.verify(token)
    if request.blueprint in _FOR_NAMED_USERS:
        refuse_anonymous(found)
    if services().settings.stripe_webhook_secret:
        services().claims.observe(found)
    return found


def _changes() -> bool:
    return request.method not in ("GET", "HEAD")


def principal() -> Principal:
    """Return the caller of the current request."""
    found: Principal = g.principal
    return found


def listed_owner(user_id: UUID | None) -> UUID | None:
    """Return the owner of the rows to list for this `user_id`; None means everybody's. Raises Forbidden."""
    return services().access.listed_owner(principal(), user_id)


def visible(text: str, find: Callable[[UUID], T | None], no_such: str) -> T:
    """Return the object with the id `text` of a path, if the caller may see it. Raises NotFound with `no_such`.

    `find` returns a row or an object with a `user_id`, and a `visitor_id` if visitors have such objects; it returns
    None or raises NotFound if there is none.
    """
    row_id = uuid_or_none(text)
    try:
        found = find(row_id) if row_id else None
    except NotFound:
        found = None
    if found is None or not services().access.may_see(
        principal(), _owner(found, "user_id"), _owner(found, "visitor_id")
    ):
        raise NotFound(no_such)
    return found


def _owner(found: Any, name: str) -> UUID | None:
    owner: UUID | str | None = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return UUID(owner) if isinstance(owner, str) else owner


def require_admin(action: str) -> None:
    """Raise Forbidden unless the caller is an administrator or a service; `action` completes "may ..."."""
    services().access.require_admin(principal(), action)


def bearer_token(header: str | None) -> str:
    """Return the token of an Authorization header. Raises Unauthenticated if there is none."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send a token in the header Authorization: Bearer <token>.")
    return token.strip()
