"""The members of a topic: who follows it, and up to which message."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog

from pixelbloom.events.reader import Snapshot, TopicReader
from pixelbloom.events.topics import Topic
from pixelbloom.web.realtime.frames import Frame

log = structlog.get_logger(__name__)

#: Messages buffered until a member has a position; with more, it reads the history again.
BUFFERED_MESSAGES = 2_000


class Repairing(Protocol):
    """What a member needs of its hub."""

    @property
    def reader(self) -> TopicReader: ...

    def repair(self, member: "Member") -> None:
        """Read what the member may have missed from the history, in another thread."""


class Member:
    """A follower of one topic or feed: it gets every message after its position, in order, once.

    While `buffered` is a list, messages wait there until `apply` sets a position. All methods but `fetch` are called
    with the hub's lock.
    """

    def __init__(self, hub: Repairing, name: str) -> None:
        self.hub = hub
        self.name = name
        self.epoch: str | None = None
        self.seq = 0
        #: When the message at `seq` was published, in milliseconds; identifies it. 0 if it was not seen.
        self.sent_ms = 0
        self.buffered: list[Frame] | None = []
        #: Still being subscribed by its creator; the hub does not repair it.
        self.pending = True
        #: The connection to Redis was lost meanwhile.
        self.missed = False
        self.gone = False

    def offer(self, frame: Frame) -> None:
        """Accept the next message from Redis."""
        if self.buffered is not None:
            if len(self.buffered) == BUFFERED_MESSAGES:
                self.buffered.clear()
            self.buffered.append(frame)
        elif frame.epoch == self.epoch and frame.seq == self.seq + 1:
            self.seq, self.sent_ms = frame.seq, frame.sent_ms
            self.deliver(frame)
        elif frame.epoch != self.epoch or frame.seq > self.seq:
            self.buffered = [frame]
            self.hub.repair(self)

    def resume_from(self, epoch: str, seq: int, sent_ms: int = 0) -> None:
        """Set the position up to which everything was delivered, then deliver the buffered messages."""
        if (epoch, seq) != (self.epoch, self.seq):
            self.epoch, self.seq, self.sent_ms = epoch, seq, sent_ms
        buffered, self.buffered = self.buffered or [], None
        self.pending = False
        for frame in buffered:
            self.offer(frame)
        if self.missed:
            self.missed = False
            self.hub.repair(self)

    @property
    def position(self) -> tuple[Any, ...]:
        """Members of a topic with equal positions share the result of one `fetch`."""
        return (type(self), self.epoch, self.seq, self.sent_ms)

    def fetch(self) -> Any:
        """Read what was published after the position. Waits for Redis or the database. May raise PixelBloomError."""
        raise NotImplementedError

    def apply(self, found: Any) -> None:
        """Deliver what was read, then resume."""
        raise NotImplementedError

    def deliver(self, frame: Frame) -> None:
        """Pass a message on. Must not block."""
        raise NotImplementedError


class Listener(Member):
    """Calls back with the `data` of each state event; skips deltas, and states that newer ones replaced."""

    def __init__(self, hub: Repairing, name: str, callback: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(hub, name)
        self._callback = callback
        self.buffered = None

    def offer(self, frame: Frame) -> None:
        if frame.kind != "delta":
            self._call(frame.body)

    def fetch(self) -> Any:
        topic = Topic.parse(self.name)
        return self.hub.reader.read(topic) if topic else None

    def apply(self, found: Any) -> None:
        if isinstance(found, Snapshot):
            self._call(found.frame)

    def _call(self, body: bytes) -> None:
        try:
            self._callback(orjson.loads(body)["data"])
        except Exception:
            log.exception("listener_failed", topic=self.name)
