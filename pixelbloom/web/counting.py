"""Counting a request against its rate limit before its body is read: what is refused costs no reading."""

from collections.abc import Callable

from flask import request

from pixelbloom.web.caller import caller_or_address, principal
from pixelbloom.web.services import services


def count_first(count: Callable[[], None], *operations: str) -> Callable[[], None]:
    """For `before_request` of a blueprint, after authentication: count the requests of these operations."""

    def check() -> None:
        if (request.endpoint or "").rpartition(".")[2] in operations:
            count()

    return check


def submission() -> None:
    """Count against RUN_RATE_LIMIT. Raises RateLimited."""
    services().submission_limit.count(principal())


def quote() -> None:
    """Count against QUOTE_RATE_LIMIT. Raises RateLimited."""
    services().quote_limit.count(caller_or_address())


def lead() -> None:
    """Count a visitor against VISITOR_LEAD_LIMIT. Raises RateLimited and Unavailable."""
    services().visitor_limits.count_lead(principal())


def message() -> None:
    """Count a visitor against VISITOR_MESSAGE_LIMIT. Raises RateLimited and Unavailable."""
    services().visitor_limits.count_message(principal())
