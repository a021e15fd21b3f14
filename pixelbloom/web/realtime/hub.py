"""The hub: distributes events from Redis to the sockets and waiters of this process."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import structlog

from pixelbloom.core.backoff import Backoff
from pixelbloom.errors import PixelBloomError
from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.reader import TopicReader
from pixelbloom.events.topics import Keys
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.members import Listener, Member
from pixelbloom.web.realtime.redis_connection import RedisLink
from pixelbloom.web.realtime.stats import Stats

log = structlog.get_logger(__name__)

CONFIRM_SECONDS = 3.0
#: How long `listen` waits for an unreachable Redis. The listener is subscribed when Redis is back.
LISTEN_SECONDS = 1.0
REPAIRERS = 4
REPAIR_BACKOFF_SECONDS = (0.2, 3.0)
#: Sockets written to before other greenlets may run.
FLUSH_AT_ONCE = 256


class Outlet(Protocol):
    """Something that queues frames and writes them on `flush`."""

    def flush(self) -> None: ...


class Hub:
    """One per process: one pub/sub connection, the members of each topic, and the repair of gaps.

    Connects with the first member. Safe to share between threads and greenlets.
    """

    def __init__(self, redis_url: str) -> None:
        client = connect(redis_url, connections=32)
        self.reader = TopicReader(client)
        self.publisher = Publisher(client)
        self._lock = threading.RLock()
        self._members: dict[str, dict[Member, None]] = {}
        self._dirty: dict[Outlet, None] = {}
        self._to_repair: deque[str] = deque()
        self._repairers = 0
        self.stats = Stats()
        #: When the messages of the current batch were published.
        self._published_ms: list[int] = []
        self._link = RedisLink(
            redis_url,
            on_message=self._message,
            on_confirmed=self._confirmed,
            on_pause=self._end_batch,
            stats=self.stats,
        )

    # Members

    def subscribe(self, member: Member, *, timeout: float = CONFIRM_SECONDS, stay: bool = False) -> bool:
        """Subscribe the member to its topic. True once Redis has confirmed it: nothing published later is missed.

        False if Redis does not confirm within `timeout` seconds; with `stay`, the member is repaired once it does.
        """
        with self._lock:
            self._members.setdefault(member.name, {})[member] = None
            confirmed = self._link.subscribe(Keys.of(member.name).channel)
        confirmed.wait(timeout)
        with self._lock:
            member.missed = False
            member.pending = confirmed.is_set() or not stay
            return confirmed.is_set()

    def unsubscribe(self, member: Member) -> None:
        """Remove the member from its topic."""
        with self._lock:
            member.gone = True
            members = self._members.get(member.name)
            if members is not None and members.pop(member, member) is None and not members:
                del self._members[member.name]
                self._link.unsubscribe(Keys.of(member.name).channel)

    @contextmanager
    def listen(self, topic: str, callback: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
        """Call back with the data of each state event of a topic while the context is open.

        Nothing published after entering is missed while Redis is reachable; after a reconnect `callback` gets the
        current state. It runs in the hub's thread and must not block.
        """
        listener = Listener(self, topic, callback)
        self.subscribe(listener, timeout=LISTEN_SECONDS, stay=True)
        listener.pending = False
        try:
            yield
        finally:
            self.unsubscribe(listener)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Hold the lock; on exit, write the frames queued meanwhile."""
        with self._lock:
            yield
        self.flush()

    # Writing

    def touch(self, outlet: Outlet) -> None:
        """Mark an outlet that has frames to write."""
        self._dirty[outlet] = None

    def flush(self) -> None:
        """Flush every marked outlet."""
        while self._dirty:
            with self._lock:
                dirty, self._dirty = self._dirty, {}
            for count, outlet in enumerate(dirty, 1):
                outlet.flush()
                if count % FLUSH_AT_ONCE == 0:
                    time.sleep(0)

    # From Redis

    def _message(self, channel: str, data: bytes) -> None:
        name = channel.removeprefix("pb:")
        with self._lock:
            members = self._members.get(name)
            if not members:
                return
            try:
                frame = Frame.parse(name, data)
            except ValueError:
                log.warning("message_not_ours", channel=channel)
                return
            self.stats.received[frame.kind] += 1
            self._published_ms.append(frame.sent_ms)
            for member in list(members):
                member.offer(frame)

    def _end_batch(self) -> None:
        published, self._published_ms = self._published_ms, []
        self.flush()
        if published:
            now = time.time() * 1000
            for sent_ms in published:
                self.stats.relay.add(max(0.0, now - sent_ms) / 1000)

    def _confirmed(self, channel: str) -> None:
        with self._lock:
            for member in list(self._members.get(channel.removeprefix("pb:"), ())):
                if member.buffered is not None:
                    # Published before the connection was lost: the history has it, or Redis lost it.
                    member.buffered.clear()
                if member.pending:
                    member.missed = True
                else:
                    self.repair(member)

    # Repair

    def repair(self, member: Member) -> None:
        """Read what the member may have missed from the history, in another thread."""
        with self._lock:
            if not isinstance(member, Listener) and member.buffered is None:
                member.buffered = []
            member.pending = False
            if member.name not in self._to_repair:
                self._to_repair.append(member.name)
            if self._repairers < REPAIRERS:
                self._repairers += 1
                threading.Thread(target=self._repair_all, name="repair", daemon=True).start()

    def _repair_all(self) -> None:
        backoff = Backoff(*REPAIR_BACKOFF_SECONDS)
        while True:
            with self._lock:
                if not self._to_repair:
                    self._repairers -= 1
                    return
                name = self._to_repair.popleft()
            try:
                self._repair(name)
                backoff.reset()
            except Exception as error:
                if not isinstance(error, PixelBloomError):
                    log.exception("repair_failed", topic=name)
                with self._lock:
                    if name in self._members and name not in self._to_repair:
                        self._to_repair.append(name)
                time.sleep(backoff.next())

    def _repair(self, name: str) -> None:
        """Bring every waiting member of the topic up to date. Raises PixelBloomError to try again later."""
        with self._lock:
            groups: dict[tuple[Any, ...], list[Member]] = {}
            for member in self._members.get(name, ()):
                if not member.pending and (member.buffered is not None or isinstance(member, Listener)):
                    groups.setdefault(member.position, []).append(member)
        for position, members in groups.items():
            found = members[0].fetch()
            with self.batch():
                for member in members:
                    if member.gone:
                        continue
                    if member.position == position:
                        member.apply(found)
                    elif member.buffered is not None:  # another repair was faster; the member needs a new one
                        self.repair(member)
