"""A client of event streams that sees every byte: server-sent events as the HTML standard parses them."""

import json
import socket
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.waiting import Deadline


@dataclass(frozen=True)
class Event:
    """One event: its fields as they came."""

    id: str | None
    type: str
    data: dict[str, Any]

    @property
    def state(self) -> dict[str, Any]:
        """The `data` of a topic's frame."""
        found: dict[str, Any] = self.data["data"]
        return found


class EventStream:
    """One response, read as it comes. `receive_buffer` bytes make a client that can be slow."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        last_event_id: str | None = None,
        receive_buffer: int = 0,
        **more: str,
    ) -> None:
        parts = urlsplit(url)
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect((parts.hostname or "", parts.port or 0))
        headers = {"Host": parts.netloc, "Accept": "text/event-stream", **more}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        self._buffer = b""
        self._ended = False
        self.comments = 0
        self.events: list[Event] = []
        head = self._until(b"\r\n\r\n", Deadline(saw=lambda: self._buffer[:500], what="the head of the response"))
        status, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}

    @property
    def last_id(self) -> str | None:
        """The id that a client would resume with."""
        return next((event.id for event in reversed(self.events) if event.id), None)

    def next(self) -> Event | None:
        """The next event, or None at the end of the response. A truncated event is ignored."""
        deadline = Deadline(saw=lambda: self.events[-3:], what="an event")
        while True:
            block = self._until(b"\n\n", deadline)
            if block is None:
                return None
            event = self._parsed(block.decode())
            if event is not None:
                self.events.append(event)
                return event

    def until(self, **wanted: Any) -> list[Event]:
        """Return all events up to one with these members in its state."""
        start = len(self.events)
        while event := self.next():
            if event.type == "event" and all(event.state.get(name) == value for name, value in wanted.items()):
                return self.events[start:]
        raise AssertionError(f"the stream ended without {wanted}: {self.events[-3:]}")

    def rest(self) -> list[Event]:
        """All events to the end of the response."""
        start = len(self.events)
        while self.next():
            pass
        return self.events[start:]

    def comment(self) -> None:
        """Wait for a further comment."""
        deadline = Deadline(saw=lambda: self.events[-3:], what="a comment")
        before = self.comments
        while self.comments == before:
            block = self._until(b"\n\n", deadline)
            assert block is not None, "the stream has ended"
            self._parsed(block.decode())

    def body(self) -> bytes:
        """Return the body of a response that is no stream, unparsed."""
        deadline = Deadline(what="the end of the response")
        while len(self._buffer) < int(self.headers.get("content-length", 0)) and self._read(deadline):
            pass
        return self._buffer

    def _parsed(self, block: str) -> Event | None:
        fields = {}
        for line in block.split("\n"):
            if line.startswith(":"):
                self.comments += 1
                continue
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        if "data" not in fields:
            return None
        return Event(fields.get("id"), fields.get("event", "message"), json.loads(fields["data"]))

    def _until(self, mark: bytes, deadline: Deadline) -> Any:
        while mark not in self._buffer:
            if not self._read(deadline):
                return None
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _read(self, deadline: Deadline) -> bool:
        self._socket.settimeout(deadline.left)
        try:
            part = self._socket.recv(65536)
        except TimeoutError:
            deadline.fail()
        except ConnectionError:
            part = b""
        self._buffer += part
        return bool(part)

    def send(self, data: bytes) -> None:
        """Send unexpected bytes."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
