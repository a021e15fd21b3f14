"""The realtime tier: three WebSocket channels over one hub per process.

`register_realtime` mounts it, `drain` closes its sockets when the process stops.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from flask import Flask

    from pixelbloom.auth.principal import Principal
    from pixelbloom.auth.roles import Roles
    from pixelbloom.config import Settings
    from pixelbloom.web.realtime.hub import Hub
    from pixelbloom.web.realtime.limits import Limits
    from pixelbloom.web.realtime.routes import Realtime
    from pixelbloom.web.realtime.sources import Sources

_running: "WeakSet[Realtime]" = WeakSet()


def register_realtime(
    app: "Flask",
    *,
    settings: "Settings",
    hub: "Hub",
    verify: "Callable[[str], Principal]",
    sources: "Sources",
    limits: "Limits | None" = None,
    roles: "Roles | None" = None,
) -> "Realtime":
    """Mount the three sockets on the application.

    `verify` returns the principal of a token, or raises Unauthenticated. `sources` read the current state of topics.
    `roles` refreshes the roles of open sockets' users; without it a role lasts as long as its token.
    Opens no connection.
    """
    from pixelbloom.web.realtime.limits import Limits
    from pixelbloom.web.realtime.routes import Realtime, add_routes

    limits = limits or Limits.of(settings)
    realtime = Realtime(settings=settings, hub=hub, verify=verify, sources=sources, limits=limits, roles=roles)
    add_routes(app, realtime)
    _running.add(realtime)
    app.extensions["realtime"] = realtime
    return realtime


def drain(seconds: float = 10.0) -> None:
    """Close every socket of this process with 1012, in batches. Returns when they have ended or time is up."""
    for realtime in list(_running):
        realtime.registry.drain(seconds)
