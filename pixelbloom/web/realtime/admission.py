"""Who may use which channel, by the scopes of the token."""

from pixelbloom.auth import scopes
from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Forbidden, Unauthenticated
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS

#: The scope that a channel needs, where the token is limited to scopes at all.
SCOPES = {ANALYTICS: "analytics:read", NOTIFICATIONS: "notifications:read"}


def admitted(channel: str, caller: Principal) -> Principal:
    """The caller as the channel takes it: own runs need no scope of their own. Raises Unauthenticated."""
    try:
        if channel not in SCOPES:
            return scopes.narrowed(caller, "runs:read")
        scopes.check(caller, SCOPES[channel])
        return caller
    except Forbidden as error:
        raise Unauthenticated(error.message) from None
