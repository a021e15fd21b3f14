"""Assembles a peer's messages from frames and enforces the limits."""

import time

from wsproto.events import BytesMessage, TextMessage

from pixelbloom.web.realtime.limits import Limits


class TooBig(Exception):
    """A message over the limit."""


class Inbox:
    """The message being assembled, and the number of frames the peer may still send."""

    __slots__ = ("_allowance", "_allowance_at", "_limits", "_parts", "_size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._allowance = float(limits.frames_at_once)
        self._allowance_at = time.monotonic()

    def add(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """Add a message or a fragment. Return the complete message, b"" for a binary one, or None. Raises TooBig."""
        self._size += len(event.data.encode()) if isinstance(event.data, str) else len(event.data)
        if self._size > self._limits.message_bytes:
            raise TooBig
        if isinstance(event.data, str) and event.data:
            self._parts.append(event.data)
        if not event.message_finished:
            return None
        whole = b"" if isinstance(event, BytesMessage) else "".join(self._parts)
        self.clear()
        return whole

    def clear(self) -> None:
        """Discard the message being assembled."""
        self._parts.clear()
        self._size = 0

    def allow(self, event: object) -> bool:
        """Count a frame; return whether the peer is within its rate. Chunks of one frame count once."""
        if not getattr(event, "frame_finished", True):
            return True
        now = time.monotonic()
        earned = (now - self._allowance_at) * self._limits.frames_per_second
        self._allowance = min(self._allowance + earned, float(self._limits.frames_at_once)) - 1
        self._allowance_at = now
        return self._allowance >= 0
