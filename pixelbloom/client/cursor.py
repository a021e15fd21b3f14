"""The position of a subscription: what to request on a reconnect, and which events are new."""

from collections.abc import Mapping
from typing import Any

from pixelbloom.client.frames import Subscribed, TopicEvent


class Cursor:
    """The position in one topic, across connections.

    `seq` is that of the last event given out, None before the first; it means something within `epoch` only.
    """

    def __init__(
        self,
        topic: str,
        params: Mapping[str, Any] | None = None,
        *,
        since: int | None = None,
        epoch: str | None = None,
    ) -> None:
        self.topic = topic
        self._params = params
        self.seq = since
        self.epoch = epoch

    def request(self) -> dict[str, Any]:
        """Return the frame that subscribes, or resumes after the last event seen."""
        frame: dict[str, Any] = {"type": "subscribe", "topic": self.topic}
        if self._params is not None:
            frame["params"] = dict(self._params)
        if self.seq is not None:
            frame["since"] = self.seq
            if self.epoch is not None:
                frame["epoch"] = self.epoch
        return frame

    def joined(self, confirmation: Subscribed) -> None:
        """Apply the server's confirmation. Unless it recovered, reset `seq`: a snapshot follows."""
        continues = confirmation.recovered and (self.epoch is None or confirmation.epoch in (None, self.epoch))
        if not continues:
            self.seq = None
        self.epoch = confirmation.epoch or self.epoch

    def admit(self, event: TopicEvent) -> bool:
        """Return whether the event is new, and record it as seen."""
        if event.seq is None:
            return True
        if self.seq is not None and event.seq <= self.seq:
            return False
        self.seq = event.seq
        return True
