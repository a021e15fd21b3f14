"""Who may use which channel, by the scopes of the token."""

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Forbidden, Unauthenticated
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS

#: The scope that a channel requires of a token with scopes.
SCOPES = {ANALYTICS: "analytics:read", NOTIFICATIONS: "notifications:read"}


def admitted(channel: str, caller: Principal) -> Principal:
    """Return the caller, limited to what its scopes allow on the channel. Raises Unauthenticated.

    The workflows channel requires no scope; without `runs:read` the caller sees only own runs.
    """
    try:
        if channel not in SCOPES:
            return caller.narrowed("runs:read")
        caller.require(SCOPES[channel])
        return caller
    except Forbidden as error:
        raise Unauthenticated(error.message) from None
