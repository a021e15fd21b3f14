"""The three sockets as routes of the Flask application."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import structlog
from flask import Flask, Request, Response, request
from werkzeug.exceptions import BadRequest, Forbidden
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.config import Settings
from pixelbloom.errors import PixelBloomError, Unauthenticated, Unavailable
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, WORKFLOWS
from pixelbloom.web.origins import allows
from pixelbloom.web.realtime.admission import admitted
from pixelbloom.web.realtime.connection import Connection
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.protocol import error
from pixelbloom.web.realtime.registry import Registry
from pixelbloom.web.realtime.socket import ABNORMAL, COME_BACK, POLICY, RESTART, Socket
from pixelbloom.web.realtime.sources import Sources

log = structlog.get_logger(__name__)

CHANNELS = (ANALYTICS, NOTIFICATIONS, WORKFLOWS)


class Taken(Response):
    """The answer of a request whose connection became a socket: gunicorn writes nothing and closes its own copy."""

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:  # noqa: ARG002
        raise StopIteration


class Realtime:
    """The sockets of one application."""

    def __init__(
        self,
        *,
        settings: Settings,
        hub: Hub,
        verify: Callable[[str], Principal],
        sources: Sources,
        limits: Limits,
        roles: Roles | None = None,
    ) -> None:
        self.hub = hub
        self.registry = Registry(limits, hub.stats, roles)
        self._settings = settings
        self._verify = verify
        self._limits = limits
        self._sources = sources

    def serve(self, channel: str, upgrade: Request) -> None:
        """Answer the upgrade; the conversation outlives the request. Raises Forbidden or BadRequest before it."""
        origin = upgrade.headers.get("Origin")
        if origin is not None and not allows(self._settings, origin, upgrade.host):
            raise Forbidden("Pages of this origin may not connect; CORS_ORIGINS names those that may.")
        offered = subprotocols(upgrade)
        try:
            principal = admitted(channel, self._principal(upgrade, offered))
        except PixelBloomError as fault:
            code = COME_BACK if isinstance(fault, Unavailable) else POLICY
            self._turn_away(upgrade, offered, code, fault)
            return
        if self.registry.draining:
            self._turn_away(upgrade, offered, RESTART, None)
            return
        connection = Connection(
            self.hub, channel, principal, sources=self._sources, verify=self._verify, limits=self._limits
        )
        try:
            self.registry.add(connection)
        except PixelBloomError as fault:
            self._turn_away(upgrade, offered, COME_BACK, fault)
            return
        try:
            connection.start()
            socket = self._accept(upgrade, offered)
        except BaseException:
            self.registry.remove(connection)
            connection.stop()
            raise

        def ended() -> None:
            if socket.closing is None:
                self.registry.closed(ABNORMAL)
            self.registry.remove(connection)
            connection.stop()

        if self.registry.draining:  # begun while this upgrade was being answered: drain did not see it
            socket.close(RESTART, "restart")
        connection.begin(socket)
        socket.follow(connection.hear, ended)

    def _accept(self, upgrade: Request, offered: Sequence[str]) -> Socket:
        try:
            return Socket(
                upgrade.environ,
                subprotocol=answered_subprotocol(offered),
                limits=self._limits,
                on_close=self.registry.closed,
                stats=self.hub.stats,
            )
        except (RemoteProtocolError, LocalProtocolError, UnicodeDecodeError):
            raise BadRequest("This is no proper WebSocket handshake (RFC 6455, version 13).") from None

    def _turn_away(self, upgrade: Request, offered: Sequence[str], code: int, fault: PixelBloomError | None) -> None:
        """Accept, so that browsers see the code, and close."""
        socket = self._accept(upgrade, offered)
        reason = "restart"
        if fault is not None:
            reason = fault.message
            socket.push(Frame.of(error(fault.code, fault.message)))
        socket.close(code, reason)
        try:
            socket.await_end()
        finally:
            socket.finish()

    def _principal(self, upgrade: Request, offered: Sequence[str]) -> Principal:
        token = bearer(upgrade, offered)
        if not token:
            raise Unauthenticated("Connect with a token: ?token=, Authorization: Bearer, or as a subprotocol.")
        return self._verify(token)


def bearer(upgrade: Request, offered: Sequence[str]) -> str | None:
    """The token, from the query, the Authorization header or the subprotocols, in this order."""
    token = upgrade.args.get("token")
    if token:
        return token
    scheme, _, rest = upgrade.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return next((token_of(name) for name in offered if token_of(name)), None)


def subprotocols(upgrade: Request) -> list[str]:
    """What the client offers in Sec-WebSocket-Protocol."""
    return [name.strip() for name in upgrade.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]


def token_of(subprotocol: str) -> str | None:
    """The token that a subprotocol is: a JWT, bare or after "bearer."."""
    name = subprotocol.removeprefix("bearer.")
    return name if name.count(".") == 2 else None


def answered_subprotocol(offered: Sequence[str]) -> str | None:
    """One that the client offered, for browsers insist; not the token where there is another."""
    return next((name for name in offered if not token_of(name)), offered[0] if offered else None)


def add_routes(app: Flask, realtime: Realtime) -> None:
    """Mount `/api/ws/<channel>`."""
    for channel in CHANNELS:

        def view(channel: str = channel) -> Response:
            realtime.serve(channel, request)
            return Taken(status=101)

        app.add_url_rule(f"/api/ws/{channel}", f"ws_{channel}", view, websocket=True)
