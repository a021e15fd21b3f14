"""Where a subscription stands: what to ask for when it is made anew, and which events are new."""

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
        """The frame that subscribes, or resumes where something was seen already."""
        frame: dict[str, Any] = {"type": "subscribe", "topic": self.topic}
        if self._params is not None:
            frame["params"] = dict(self._params)
        if self.seq is not None:
            frame["since"] = self.seq
            if self.epoch is not None:
                frame["epoch"] = self.epoch
        return frame

    def joined(self, answer: Subscribed) -> None:
        """Take the server's answer. Unless it recovered, a snapshot follows and counts from anew."""
        continues = answer.recovered and (self.epoch is None or answer.epoch in (None, self.epoch))
        if not continues:
            self.seq = None
        self.epoch = answer.epoch or self.epoch

    def admit(self, event: TopicEvent) -> bool:
        """Whether the event is new; if so it counts as seen."""
        if event.seq is None:
            return True
        if self.seq is not None and event.seq <= self.seq:
            return False
        self.seq = event.seq
        return True
