"""The limits of sockets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixelbloom.config import Settings


@dataclass(frozen=True)
class Limits:
    """Bounds of one socket, and of all sockets of a process. Times are in seconds, sizes in bytes."""

    message_bytes: int = 64 * 1024
    #: What may wait to be read by a client; beyond it text deltas are merged, then the socket is closed with 1013.
    queue_bytes: int = 1024 * 1024
    #: SO_SNDBUF of each connection; 0 for the system's default.
    send_buffer_bytes: int = 0
    #: Frames from the client, of any kind: a sustained rate and a burst.
    frames_per_second: float = 50.0
    frames_at_once: int = 200
    subscriptions: int = 100
    #: Sockets and event streams together, as in `sockets`, which is for the whole process.
    sockets_per_user: int = 100
    sockets: int = 12_000
    #: Event streams of one visitor, of the visitors of one address, and of all visitors.
    streams_per_visitor: int = 10
    visitor_streams_per_address: int = 50
    visitor_streams: int = 2_000
    #: The interval between comments on an event stream.
    comment_seconds: float = 15.0
    ping_seconds: float = 25.0
    pong_seconds: float = 20.0
    #: How long the peer has to confirm a close frame.
    close_seconds: float = 3.0
    tick_seconds: float = 1.0

    @classmethod
    def of(cls, settings: "Settings") -> "Limits":
        """Return the limits from the settings; the others have their defaults."""
        return cls(send_buffer_bytes=settings.websocket_send_buffer)
