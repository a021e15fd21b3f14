"""The three sockets as routes of the Flask application."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from flask import Blueprint, Flask, Request, g, request
from werkzeug.exceptions import Forbidden

from pixelbloom.auth.origins import allows
from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.config import Settings
from pixelbloom.errors import PixelBloomError, Unauthenticated, Unavailable
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, WORKFLOWS
from pixelbloom.web.realtime import upgrade
from pixelbloom.web.realtime.admission import admitted
from pixelbloom.web.realtime.connection import Connection
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.protocol import error_frame
from pixelbloom.web.realtime.registry import Registry
from pixelbloom.web.realtime.run_streams import RunStreams, discard_unopened
from pixelbloom.web.realtime.sources import Sources
from pixelbloom.web.realtime.websocket import ABNORMAL, COME_BACK, POLICY, RESTART, Socket

log = structlog.get_logger(__name__)

CHANNELS = (ANALYTICS, NOTIFICATIONS, WORKFLOWS)


@dataclass
class Opening:
    """A socket during its upgrade: its connection, or the reason to close it."""

    connection: Connection | None = None
    code: int = RESTART
    error: PixelBloomError | None = None
    taken_over: bool = False


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
        self.streams = RunStreams(hub, self.registry, sources["workflow_run"], limits)

    def open(self, channel: str, incoming: Request) -> Opening:
        """Check an upgrade before it is accepted, and follow the caller's feed, so that no later event is missed.

        Raises Forbidden for pages of other origins.
        """
        origin = incoming.headers.get("Origin")
        if origin is not None and not allows(self._settings, origin, incoming.host):
            raise Forbidden("Pages of this origin may not connect; CORS_ORIGINS lists the allowed origins.")
        offered = subprotocols(incoming)
        try:
            principal = admitted(channel, self._principal(incoming, offered))
        except PixelBloomError as error:
            return Opening(code=COME_BACK if isinstance(error, Unavailable) else POLICY, error=error)
        finally:
            upgrade.prepare(incoming, chosen_subprotocol(offered))
        if self.registry.draining:
            return Opening()
        connection = Connection(
            self.hub, channel, principal, sources=self._sources, verify=self._verify, limits=self._limits
        )
        try:
            self.registry.add(connection)
        except PixelBloomError as error:
            return Opening(code=COME_BACK, error=error)
        opening = Opening(connection)
        try:
            connection.start()
        except BaseException:
            self.abandon(opening)
            raise
        return opening

    def abandon(self, opening: Opening) -> None:
        """Discard a socket whose upgrade failed. Does nothing if it was taken over."""
        if opening.connection is not None and not opening.taken_over:
            self.registry.remove(opening.connection)
            opening.connection.stop()

    def take_over(self, opening: Opening, accepted: Any) -> None:
        """Take over a connection whose upgrade was accepted. It outlives the request."""
        socket = Socket(accepted, limits=self._limits, on_close=self.registry.closed, stats=self.hub.stats)
        connection = opening.connection
        if connection is None:
            self._reject(socket, opening.code, opening.error)
            return
        opening.taken_over = True

        def on_end() -> None:
            if socket.closing is None:
                self.registry.closed(ABNORMAL)
            self.registry.remove(connection)
            connection.stop()

        if self.registry.draining:  # drain started during this upgrade and did not see it
            socket.close(RESTART, "restart")
        connection.attach(socket)
        socket.start_reading(connection.on_message, on_end)

    def _reject(self, socket: Socket, code: int, error: PixelBloomError | None) -> None:
        """Close an accepted socket with an error frame. Browsers see only the close code."""
        reason = "restart"
        if error is not None:
            reason = error.message
            socket.push(Frame.of(error_frame(error.code, error.message)))
        socket.close(code, reason)
        try:
            socket.await_end()
        finally:
            socket.finish()

    def _principal(self, incoming: Request, offered: Sequence[str]) -> Principal:
        token = bearer(incoming, offered)
        if not token:
            raise Unauthenticated("Connect with a token: ?token=, Authorization: Bearer, or as a subprotocol.")
        return self._verify(token)


def bearer(upgrade: Request, offered: Sequence[str]) -> str | None:
    """Return the token from the query, the Authorization header or the subprotocols, in this order."""
    token = upgrade.args.get("token")
    if token:
        return token
    scheme, _, rest = upgrade.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return next((token_of(name) for name in offered if token_of(name)), None)


def subprotocols(upgrade: Request) -> list[str]:
    """Return what the client offers in Sec-WebSocket-Protocol."""
    return [name.strip() for name in upgrade.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]


def token_of(subprotocol: str) -> str | None:
    """Return the token in a subprotocol, if it is one: a JWT, bare or after "bearer."."""
    name = subprotocol.removeprefix("bearer.")
    return name if name.count(".") == 2 else None


def chosen_subprotocol(offered: Sequence[str]) -> str | None:
    """Choose an offered subprotocol, as browsers require one; the token only if there is no other."""
    return next((name for name in offered if not token_of(name)), offered[0] if offered else None)


def add_routes(app: Flask, realtime: Realtime) -> None:
    """Mount `/api/ws/<channel>`."""
    sockets = Blueprint("sockets", __name__, url_prefix="/api/ws")

    def opening() -> None:
        g.opening = realtime.open((request.endpoint or "").rpartition(".")[2], request)

    def ended(_: BaseException | None) -> None:
        found: Opening | None = g.pop("opening", None)
        if found is not None:
            realtime.abandon(found)

    sockets.before_request(opening)
    sockets.teardown_request(ended)
    upgrade.refuse_other_requests(sockets)
    for channel in CHANNELS:
        upgrade.add_socket(app, sockets, f"/{channel}", lambda accepted: realtime.take_over(g.opening, accepted))
    app.register_blueprint(sockets)
    app.teardown_request(discard_unopened)
