"""Steps before a request's body is read: counting it against its rate limit, waiting for a slot."""

from collections.abc import Callable
from typing import Any

from flask import g, request

from pixelbloom.web.container import services
from pixelbloom.web.http.caller import account_or_address, address, principal
from pixelbloom.web.http.searches import nothing


def count_first(count: Callable[[], None], *operations: str) -> Callable[[], None]:
    """Return a `before_request` function, for use after authentication, that counts requests of these operations."""

    def check() -> None:
        if (request.endpoint or "").rpartition(".")[2] in operations:
            count()

    return check


def submission() -> None:
    """Count against RUN_RATE_LIMIT. Raises RateLimited."""
    services().submission_limit.count(principal())


def checkout() -> None:
    """Count against RUN_RATE_LIMIT, or without an account the address against CHECKOUT_RATE_LIMIT.

    Raises RateLimited, and Unavailable if an address cannot be counted.
    """
    if g.principal is None or principal().kind == "visitor":
        services().checkout_limit.count(address())
    else:
        submission()


def quote() -> None:
    """Count against QUOTE_RATE_LIMIT. Raises RateLimited."""
    services().quote_limit.count(account_or_address())


def lead() -> None:
    """Count a visitor against VISITOR_LEAD_LIMIT. Raises RateLimited and Unavailable."""
    services().visitor_limits.count_lead(principal())


def message() -> None:
    """Count a visitor against VISITOR_MESSAGE_LIMIT. Raises RateLimited and Unavailable."""
    services().visitor_limits.count_message(principal())


def limit_searches(blueprint: Any, argument: str | None = None) -> None:
    """Limit concurrent requests of a blueprint; with `argument` only those that have it in their query.

    Call it after the authentication was registered.
    """

    def begin() -> None:
        if request.method == "GET" and (argument is None or argument in request.args):
            g.search = services().searches.enter(principal())

    def end(_: BaseException | None) -> None:
        g.pop("search", nothing)()

    blueprint.before_request(begin)
    blueprint.teardown_request(end)
