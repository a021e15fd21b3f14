"""The upgrade of a request to a WebSocket."""

from collections.abc import Mapping
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, Request
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError


def accept(environ: Mapping[str, Any], subprotocol: str | None) -> tuple[Connection, bytes]:
    """What reads the frames to come, and the bytes that answer the upgrade. Compression is never agreed to.

    Raises wsproto's RemoteProtocolError where the request is no proper one.
    """
    handshake = H11Handshake(ConnectionType.SERVER)
    handshake.receive_data(_request_of(environ))
    request = next(iter(handshake.events()), None)
    if not isinstance(request, Request):
        raise RemoteProtocolError("no upgrade")
    answer = handshake.send(AcceptConnection(subprotocol=subprotocol))
    assert handshake.connection is not None
    return handshake.connection, answer


def _request_of(environ: Mapping[str, Any]) -> bytes:
    """The upgrade as it came, as far as the handshake looks at it."""
    lines = ["GET / HTTP/1.1"]
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            lines.append(f"{name[5:].replace('_', '-')}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
