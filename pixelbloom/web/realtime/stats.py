"""Counters of a process's sockets: plain numbers, which the metrics endpoint reads once a second.

Nothing here blocks or locks: all greenlets of a process share one thread, and none yields during an addition.
"""

from bisect import bisect_left
from collections import Counter

from pixelbloom.events.topics import ANALYTICS, KINDS, KINDS_WITH_ID, NOTIFICATIONS, WORKFLOWS

#: Upper bounds in seconds, from one write on the same machine to a stream that was read from the history again.
RELAY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMMON_CLOSE_CODES = (1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013)


class Times:
    """A histogram of durations in seconds: counts by upper bound, the last for those over all bounds, and the sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Stats:
    """The numbers of one process since its start."""

    __slots__ = (
        "closes",
        "frames_sent",
        "link_connects",
        "link_up",
        "merged",
        "overflowed",
        "queue_bytes",
        "received",
        "relay",
        "sockets",
        "streams",
        "subscriptions",
        "waits",
    )

    def __init__(self) -> None:
        #: Open now, by channel.
        self.sockets = Counter(dict.fromkeys((ANALYTICS, NOTIFICATIONS, WORKFLOWS), 0))
        #: Event streams that are open now.
        self.streams = 0
        #: Active now, by kind of topic.
        self.subscriptions = Counter(dict.fromkeys((*KINDS, *KINDS_WITH_ID), 0))
        #: Messages from Redis with a follower here, by the kind in their header.
        self.received: Counter[str] = Counter()
        self.frames_sent = 0
        #: Frames never sent: merged into others for a slow client, or dropped when it was disconnected.
        self.merged = 0
        self.overflowed = 0
        #: Bytes waiting for slow clients, as of the last tick.
        self.queue_bytes = 0
        #: By code; 1006 is an end without a close frame. The usual codes start at 0, as rates require.
        self.closes = Counter(dict.fromkeys(COMMON_CLOSE_CODES, 0))
        #: Requests that currently wait for the end of a run.
        self.waits = 0
        #: From publication to the end of the write.
        self.relay = Times(RELAY_BOUNDS)
        #: False only while the connection to Redis is needed and down.
        self.link_up = True
        self.link_connects = 0

    @property
    def open(self) -> int:
        """All sockets that are open now."""
        return self.sockets.total()
