"""Upgrading requests with flask-sock, and handing the connection to our own sockets."""

from collections.abc import Callable
from typing import Any, NoReturn

from flask import Blueprint, Flask, Request, Response, current_app
from flask.typing import ResponseReturnValue
from flask_sock import Sock
from simple_websocket import Server
from simple_websocket.errors import SimpleWebsocketError
from werkzeug.exceptions import BadRequest
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

_EXTENSIONS = "HTTP_SEC_WEBSOCKET_EXTENSIONS"
_SUBPROTOCOLS = "HTTP_SEC_WEBSOCKET_PROTOCOL"


class NoThread:
    """Replaces simple-websocket's reader thread: starts nothing, because `Socket` reads."""

    def __init__(self, target: Callable[[], None]) -> None:  # noqa: ARG002
        self.name = ""

    def start(self) -> None:
        """Do nothing."""


class AnySubprotocol(list[str]):
    """The subprotocols that the server accepts: whichever `prepare` has left in the request."""

    def __init__(self) -> None:
        super().__init__(["any"])  # an empty list would mean that there are none

    def __contains__(self, name: object) -> bool:
        return True


#: simple-websocket's own defaults would start a greenlet and an event for each socket.
SERVER_OPTIONS = {"thread_class": NoThread, "subprotocols": AnySubprotocol()}


class HijackedResponse(Response):
    """The response of a request whose connection was taken over: gunicorn writes nothing and closes its own copy."""

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:  # noqa: ARG002
        raise StopIteration


def add_socket(app: Flask, blueprint: Blueprint, path: str, serve: Callable[[Any], None]) -> None:
    """Declare a socket. `serve` gets the connection once the upgrade is accepted, and returns at once."""
    app.config["SOCK_SERVER_OPTIONS"] = SERVER_OPTIONS

    def handle(server: Server) -> None:
        # We own the connection now. If connected, simple-websocket would write its own close frame on return.
        server.connected = False
        serve(server.sock)

    handle.__name__ = path.rpartition("/")[2]
    Sock().route(path, bp=blueprint)(handle)


def refuse_other_requests(blueprint: Blueprint) -> None:
    """Respond 400 to an invalid upgrade request, and nothing to a client that has disconnected."""

    def refuse(_: Exception) -> ResponseReturnValue:
        # In the application's error format.
        return current_app.handle_user_exception(BadRequest("Invalid WebSocket handshake; use RFC 6455, version 13."))

    def gone(_: Exception) -> Response:
        return HijackedResponse(status=101)

    def switched(response: Response) -> Response:
        if response.status_code == 200:
            response.status_code = 101
        return response

    for error in (RemoteProtocolError, LocalProtocolError, UnicodeError, SimpleWebsocketError):
        blueprint.register_error_handler(error, refuse)
    blueprint.register_error_handler(OSError, gone)
    blueprint.after_request(switched)


def prepare(upgrade: Request, subprotocol: str | None) -> None:
    """Limit what the handshake can negotiate: this subprotocol, and no compression (192 KB a socket)."""
    upgrade.environ.pop(_EXTENSIONS, None)
    upgrade.environ.pop(_SUBPROTOCOLS, None)
    if subprotocol is not None:
        upgrade.environ[_SUBPROTOCOLS] = subprotocol
