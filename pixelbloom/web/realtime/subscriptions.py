"""What a socket follows: the topics it asked for, and its user's own feed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from pixelbloom.auth.principal import Principal
from pixelbloom.events.reader import FeedPosition, Snapshot
from pixelbloom.events.topics import Topic
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub, Member
from pixelbloom.web.realtime.protocol import MAX_SEQ
from pixelbloom.web.realtime.sources import Found, Stream

if TYPE_CHECKING:
    from pixelbloom.web.realtime.connection import Connection


class Receiver(Protocol):
    """A socket or event stream that follows topics."""

    principal: Principal

    def push(self, frame: Frame) -> None:
        """Queue a frame. With the hub's lock."""

    def drop(self, subscription: "Subscription") -> None:
        """What it followed is gone, or is the caller's no more. With the hub's lock."""


@dataclass(frozen=True)
class Fetched:
    """What a source had, with its frames made once for all who get them."""

    found: Found
    frames: tuple[Frame, ...]
    #: The numbers that were told are now those of other messages.
    anew: bool = False

    @classmethod
    def of(cls, name: str, found: Found) -> "Fetched":
        if isinstance(found, Snapshot):
            frame = Frame(found.frame, topic=name, epoch=found.epoch, seq=found.seq, kind="snapshot")
            return cls(found, (frame,))
        return cls(found, tuple(Frame.parse(name, message) for message in found.messages))


class Subscription(Member):
    """One topic of one socket, in the envelope form."""

    def __init__(self, hub: Hub, topic: Topic, stream: Stream, connection: Receiver) -> None:
        super().__init__(hub, stream.name)
        self.topic = topic
        self.begun = False
        #: Flat events that this topic covers, kept back until it is known whether the subscription stands.
        self.withheld: list[Frame] = []
        self._stream = stream
        self._connection = connection

    def deliver(self, frame: Frame) -> None:
        self._connection.push(frame)

    def read(self, since: int | None, epoch: str | None) -> Fetched | None:
        """Ask the source. Raises Unavailable."""
        found = self._stream.read(since, epoch)
        return None if found is None else Fetched.of(self.name, found)

    def allowed(self, fetched: Fetched) -> bool:
        return self._stream.allows(self._connection.principal, fetched.found)

    def leave(self) -> None:
        """Follow it no more."""
        self.hub.leave(self)
        self._stream.close()

    def fetch(self) -> Fetched | None:
        """What came after the position.

        A Redis that comes back with what it had a while ago (a failover that lost the last second) gives the same
        numbers to other messages. The last message that was delivered is read once more to see that it is the same.
        """
        if not self.mark:
            return self.read(self.seq, self.epoch)
        fetched = self.read(self.seq - 1, self.epoch)
        if fetched is None or isinstance(fetched.found, Snapshot):
            return fetched
        if fetched.frames and fetched.frames[0].sent_ms == self.mark:
            return fetched
        fetched = self.read(MAX_SEQ, self.epoch)
        return fetched and replace(fetched, anew=True)

    def apply(self, found: Any) -> None:
        if self.held is None:
            return
        if found is None or not self.allowed(found):
            self._connection.drop(self)
        elif self._knows(found):
            self.settle(found.found.epoch, found.found.seq)
        else:
            self.begin(found)

    def _knows(self, fetched: Fetched) -> bool:
        """Whether a snapshot tells nothing that was not told."""
        found = fetched.found
        present = (found.epoch, found.seq) == (self.epoch, self.seq)
        return isinstance(found, Snapshot) and present and not fetched.anew

    def begin(self, fetched: Fetched, since: int | None = None) -> None:
        """Tell where the stream stands, then what came until now, then go on.

        In the middle of a subscription nothing is said where the history closes the gap.
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
            self.held = [*fetched.frames, *(self.held or [])]
            self.settle(found.epoch, self.seq)
        else:
            self._connection.push(fetched.frames[0])
            self.mark = 0
            self.settle(found.epoch, found.seq)


class Feed(Member):
    """One who follows a feed from now on; where Redis is away, from now on as soon as it is back."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self._born_ms = int(time.time() * 1000)

    def start(self) -> None:
        """Follow. Waits for Redis, a second at most."""
        if not self.hub.join(self, timeout=1.0, stay=True):
            return
        try:
            end = self.hub.reader.feed(self.name)
        except Exception:
            self.hub.repair(self)
        else:
            with self.hub.turn():
                self.settle(end.epoch, end.seq)

    def fetch(self) -> FeedPosition:
        if self.epoch is None:
            return self.hub.reader.feed(self.name, 0)
        found = self.hub.reader.feed(self.name, max(self.seq - 1, 0), self.epoch)
        if self._is_another(found, self._frames(found)):
            return self.hub.reader.feed(self.name, 0)
        return found

    def apply(self, found: FeedPosition) -> None:
        if self.held is None:
            return
        frames = self._frames(found)
        last = frames[-1].sent_ms if frames else 0
        if self.epoch is not None and found.epoch != self.epoch:
            since_seq, since_ms = 0, 0
        elif self._is_another(found, frames):
            since_seq, since_ms = 0, max(self.mark + 1, self._born_ms)  # known by the time alone
            self.mark = last
        else:
            since_seq, since_ms = self.seq, 0
        for frame in frames:
            if frame.seq > since_seq and frame.sent_ms >= since_ms:
                self.deliver(frame)
        self.settle(found.epoch, found.seq, last)

    def _frames(self, found: FeedPosition) -> list[Frame]:
        return [Frame.parse(self.name, message) for message in found.messages]

    def _is_another(self, found: FeedPosition, frames: list[Frame]) -> bool:
        """Whether our position means nothing there: Redis lost what it had, or came back with older data."""
        if found.epoch != self.epoch or found.seq < self.seq:
            return True
        return any(frame.seq == self.seq and frame.sent_ms != self.mark for frame in frames if self.mark)


class FlatFeed(Feed):
    """What happens on one channel to a user's data, or to everybody's, in the flat form, less what the socket's topics
    cover.
    """

    def __init__(self, hub: Hub, name: str, connection: "Connection") -> None:
        super().__init__(hub, name)
        self._connection = connection

    def deliver(self, frame: Frame) -> None:
        if frame.body:
            self._connection.push_flat(frame)


class FeedWatch(Feed):
    """Calls back with the kind of each event of a feed, and where the feed stands then."""

    def __init__(self, hub: Hub, name: str, heard: Callable[[str, str, int], None]) -> None:
        super().__init__(hub, name)
        self._heard = heard

    def deliver(self, frame: Frame) -> None:
        self._heard(frame.kind, frame.epoch, frame.seq)
