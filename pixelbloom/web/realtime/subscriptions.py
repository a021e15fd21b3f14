"""What a socket follows: the topics it subscribed to, and its user's feed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pixelbloom.auth.principal import Principal
from pixelbloom.events.reader import FeedPosition, Snapshot
from pixelbloom.events.topics import Topic
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.members import Member
from pixelbloom.web.realtime.protocol import MAX_SEQ
from pixelbloom.web.realtime.sources import Found, Stream


class Receiver(Protocol):
    """A socket or event stream that follows topics."""

    principal: Principal

    def push(self, frame: Frame) -> None:
        """Queue a frame. Called with the hub's lock."""

    def drop(self, subscription: "Subscription") -> None:
        """End a subscription whose subject is gone or no longer visible. Called with the hub's lock."""


@dataclass(frozen=True)
class Fetched:
    """What a source returned, with its frames encoded once for all receivers."""

    found: Found
    frames: tuple[Frame, ...]
    #: Redis lost data: the delivered sequence numbers now belong to other messages.
    renumbered: bool = False

    @classmethod
    def of(cls, name: str, found: Found) -> "Fetched":
        if isinstance(found, Snapshot):
            frame = Frame(found.frame, topic=name, epoch=found.epoch, seq=found.seq, kind="snapshot")
            return cls(found, (frame,))
        return cls(found, tuple(Frame.parse(name, message) for message in found.messages))


class Subscription(Member):
    """One topic of one socket, in the envelope form."""

    hub: Hub

    def __init__(self, hub: Hub, topic: Topic, stream: Stream, connection: Receiver) -> None:
        super().__init__(hub, stream.name)
        self.topic = topic
        self.begun = False
        #: Flat events that this topic covers, withheld until the subscription succeeds or fails.
        self.withheld: list[Frame] = []
        self._stream = stream
        self._connection = connection

    def deliver(self, frame: Frame) -> None:
        self._connection.push(frame)

    def read(self, since: int | None, epoch: str | None) -> Fetched | None:
        """Read from the source; None if the subject does not exist. Raises Unavailable."""
        found = self._stream.read(since, epoch)
        return None if found is None else Fetched.of(self.name, found)

    def allowed(self, fetched: Fetched) -> bool:
        return self._stream.allows(self._connection.principal, fetched.found)

    def end(self) -> None:
        """Unsubscribe and close the stream."""
        self.hub.unsubscribe(self)
        self._stream.close()

    def fetch(self) -> Fetched | None:
        """Return what was published after the position.

        A Redis restored from older data (a failover that lost the last second) reuses sequence numbers. So the last
        delivered message is read again and compared.
        """
        if not self.sent_ms:
            return self.read(self.seq, self.epoch)
        fetched = self.read(self.seq - 1, self.epoch)
        if fetched is None or isinstance(fetched.found, Snapshot):
            return fetched
        if fetched.frames and fetched.frames[0].sent_ms == self.sent_ms:
            return fetched
        fetched = self.read(MAX_SEQ, self.epoch)
        return fetched and replace(fetched, renumbered=True)

    def apply(self, found: Any) -> None:
        if self.buffered is None:
            return
        if found is None or not self.allowed(found):
            self._connection.drop(self)
        elif self._already_delivered(found):
            self.resume_from(found.found.epoch, found.found.seq)
        else:
            self.begin(found)

    def _already_delivered(self, fetched: Fetched) -> bool:
        """Return whether a snapshot has nothing that was not delivered."""
        found = fetched.found
        present = (found.epoch, found.seq) == (self.epoch, self.seq)
        return isinstance(found, Snapshot) and present and not fetched.renumbered

    def begin(self, fetched: Fetched, since: int | None = None) -> None:
        """Send `subscribed`, then what was fetched, then the buffered messages.

        A running subscription sends no `subscribed` if the history closes the gap.
        """
        found = fetched.found
        recovered = not isinstance(found, Snapshot)
        if recovered and not self.begun:
            self.epoch, self.seq = found.epoch, since or 0
        if not self.begun or not recovered:
            self._connection.push(
                Frame.of(
                    {
                        "type": "subscribed",
                        "channel": self.topic.channel,
                        "topic": self.topic.name,
                        "seq": self.seq if recovered else found.seq,
                        "epoch": found.epoch,
                        "recovered": recovered,
                    }
                )
            )
        self.begun = True
        self.withheld.clear()
        if recovered:
            self.buffered = [*fetched.frames, *(self.buffered or [])]
            self.resume_from(found.epoch, self.seq)
        else:
            self._connection.push(fetched.frames[0])
            self.sent_ms = 0
            self.resume_from(found.epoch, found.seq)


class Feed(Member):
    """Follows a feed from now on, or from the creation time once an unreachable Redis is back."""

    hub: Hub

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self._born_ms = int(time.time() * 1000)

    def start(self) -> None:
        """Subscribe. Waits for Redis for at most a second."""
        if not self.hub.subscribe(self, timeout=1.0, stay=True):
            return
        try:
            end = self.hub.reader.feed(self.name)
        except Exception:
            self.hub.repair(self)
        else:
            with self.hub.batch():
                self.resume_from(end.epoch, end.seq)

    def fetch(self) -> FeedPosition:
        if self.epoch is None:
            return self.hub.reader.feed(self.name, 0)
        found = self.hub.reader.feed(self.name, max(self.seq - 1, 0), self.epoch)
        if self._was_reset(found, self._frames(found)):
            return self.hub.reader.feed(self.name, 0)
        return found

    def apply(self, found: FeedPosition) -> None:
        if self.buffered is None:
            return
        frames = self._frames(found)
        last = frames[-1].sent_ms if frames else 0
        if self.epoch is not None and found.epoch != self.epoch:
            since_seq, since_ms = 0, 0
        elif self._was_reset(found, frames):
            since_seq, since_ms = 0, max(self.sent_ms + 1, self._born_ms)  # only the time identifies new messages
            self.sent_ms = last
        else:
            since_seq, since_ms = self.seq, 0
        for frame in frames:
            if frame.seq > since_seq and frame.sent_ms >= since_ms:
                self.deliver(frame)
        self.resume_from(found.epoch, found.seq, last)

    def _frames(self, found: FeedPosition) -> list[Frame]:
        return [Frame.parse(self.name, message) for message in found.messages]

    def _was_reset(self, found: FeedPosition, frames: list[Frame]) -> bool:
        """Return whether the position is invalid: Redis lost its data, or was restored from older data."""
        if found.epoch != self.epoch or found.seq < self.seq:
            return True
        return any(frame.seq == self.seq and frame.sent_ms != self.sent_ms for frame in frames if self.sent_ms)


class FlatFeed(Feed):
    """Flat events of one channel about a user's data, or all users' data."""

    def __init__(self, hub: Hub, name: str, push: Callable[[Frame], None]) -> None:
        super().__init__(hub, name)
        self._push = push

    def deliver(self, frame: Frame) -> None:
        if frame.body:
            self._push(frame)


class FeedWatch(Feed):
    """Calls back with the kind, epoch and seq of each event of a feed."""

    def __init__(self, hub: Hub, name: str, on_event: Callable[[str, str, int], None]) -> None:
        super().__init__(hub, name)
        self._on_event = on_event

    def deliver(self, frame: Frame) -> None:
        self._on_event(frame.kind, frame.epoch, frame.seq)
