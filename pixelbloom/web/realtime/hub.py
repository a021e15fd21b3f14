"""The hub: what this process's sockets and waiters hold of the events in Redis."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
import structlog

from pixelbloom.errors import PixelBloomError
from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.reader import Snapshot, TopicReader
from pixelbloom.events.topics import Keys, Topic
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.redis_connection import RedisLink
from pixelbloom.web.realtime.stats import Stats

log = structlog.get_logger(__name__)

CONFIRM_SECONDS = 3.0
#: How long a waiter of `listen` holds up its caller where Redis is away; it is joined when Redis is back.
LISTEN_SECONDS = 1.0
REPAIRERS = 4
REPAIR_BACKOFF_SECONDS = (0.2, 3.0)
#: Messages that wait for a member to learn its position; with more, it reads the history again.
HELD_MESSAGES = 2_000
#: Sockets written to before others get a turn.
FLUSH_AT_ONCE = 256


class Outlet(Protocol):
    """Something that gathers frames and writes them when told to."""

    def flush(self) -> None: ...


class Member:
    """One who follows one topic or feed: every message after its position, in order, once.

    While `held` is a list, messages wait there, until `apply` has told it a position. All methods but `fetch` are
    called with the hub's lock.
    """

    def __init__(self, hub: "Hub", name: str) -> None:
        self.hub = hub
        self.name = name
        self.epoch: str | None = None
        self.seq = 0
        #: When the message at `seq` was told, in milliseconds, by which it is known again; 0 where we did not see it.
        self.mark = 0
        self.held: list[Frame] | None = []
        #: In the hands of one who has just joined it; the hub leaves it alone.
        self.pending = True
        #: Redis was away meanwhile.
        self.missed = False
        self.gone = False

    def offer(self, frame: Frame) -> None:
        """Take the next message from Redis."""
        if self.held is not None:
            if len(self.held) == HELD_MESSAGES:
                self.held.clear()
            self.held.append(frame)
        elif frame.epoch == self.epoch and frame.seq == self.seq + 1:
            self.seq, self.mark = frame.seq, frame.sent_ms
            self.deliver(frame)
        elif frame.epoch != self.epoch or frame.seq > self.seq:
            self.held = [frame]
            self.hub.repair(self)

    def settle(self, epoch: str, seq: int, mark: int = 0) -> None:
        """Everything up to here was delivered; go on with what waited."""
        if (epoch, seq) != (self.epoch, self.seq):
            self.epoch, self.seq, self.mark = epoch, seq, mark
        held, self.held = self.held or [], None
        self.pending = False
        for frame in held:
            self.offer(frame)
        if self.missed:
            self.missed = False
            self.hub.repair(self)

    @property
    def position(self) -> tuple[Any, ...]:
        """Members of one topic in the same position can share what `fetch` reads."""
        return (type(self), self.epoch, self.seq, self.mark)

    def fetch(self) -> Any:
        """Read what came after the position. Waits for Redis or the database; may raise PixelBloomError."""
        raise NotImplementedError

    def apply(self, found: Any) -> None:
        """Deliver what was read, then settle."""
        raise NotImplementedError

    def deliver(self, frame: Frame) -> None:
        """Hand a message on, without waiting for anything."""
        raise NotImplementedError


class Listener(Member):
    """Calls back with the `data` of each state event; it misses deltas, and states that newer ones replaced."""

    def __init__(self, hub: "Hub", name: str, callback: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(hub, name)
        self._callback = callback
        self.held = None

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


class Hub:
    """One a process: one pub/sub connection, the members of each topic, and the repair of gaps.

    Connects with the first member. Safe to share between threads and greenlets.
    """

    def __init__(self, redis_url: str) -> None:
        client = connect(redis_url, connections=32)
        self.reader = TopicReader(client)
        self.publisher = Publisher(client)
        self._lock = threading.RLock()
        self._members: dict[str, dict[Member, None]] = {}
        self._dirty: dict[Outlet, None] = {}
        self._broken: deque[str] = deque()
        self._repairers = 0
        self.stats = Stats()
        #: When the messages of the present batch were published.
        self._published_ms: list[int] = []
        self._link = RedisLink(
            redis_url,
            on_message=self._message,
            on_confirmed=self._confirmed,
            on_pause=self._end_batch,
            stats=self.stats,
        )

    # Members

    def join(self, member: Member, *, timeout: float = CONFIRM_SECONDS, stay: bool = False) -> bool:
        """Follow the member's topic. True once Redis has confirmed it: nothing published later is missed.

        False where Redis does not answer in time; with `stay` the member then is repaired as soon as it does.
        """
        with self._lock:
            self._members.setdefault(member.name, {})[member] = None
            confirmed = self._link.hold(Keys.of(member.name).channel)
        confirmed.wait(timeout)
        with self._lock:
            member.missed = False
            member.pending = confirmed.is_set() or not stay
            return confirmed.is_set()

    def leave(self, member: Member) -> None:
        """Follow it no more."""
        with self._lock:
            member.gone = True
            members = self._members.get(member.name)
            if members is not None and members.pop(member, member) is None and not members:
                del self._members[member.name]
                self._link.release(Keys.of(member.name).channel)

    @contextmanager
    def listen(self, topic: str, callback: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
        """Call back with the data of each state event of a topic while the context is open.

        Nothing published after entering is missed where Redis answers; after a reconnect the present state is
        told. `callback` runs in the hub's thread and must not wait for anything.
        """
        listener = Listener(self, topic, callback)
        self.join(listener, timeout=LISTEN_SECONDS, stay=True)
        listener.pending = False
        try:
            yield
        finally:
            self.leave(listener)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work on members; what they were given is written at the end."""
        with self._lock:
            yield
        self.flush()

    # Writing

    def touch(self, outlet: Outlet) -> None:
        """The outlet has something to write."""
        self._dirty[outlet] = None

    def flush(self) -> None:
        """Let everything that has something to write, write it."""
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
                if member.held is not None:
                    # Told before the connection was lost: the history has it, or Redis came back without it.
                    member.held.clear()
                if member.pending:
                    member.missed = True
                else:
                    self.repair(member)

    # Repair

    def repair(self, member: Member) -> None:
        """The member may have missed something: read it from the history, in another thread."""
        with self._lock:
            if not isinstance(member, Listener) and member.held is None:
                member.held = []
            member.pending = False
            if member.name not in self._broken:
                self._broken.append(member.name)
            if self._repairers < REPAIRERS:
                self._repairers += 1
                threading.Thread(target=self._repair_all, name="repair", daemon=True).start()

    def _repair_all(self) -> None:
        backoff, longest = REPAIR_BACKOFF_SECONDS
        while True:
            with self._lock:
                if not self._broken:
                    self._repairers -= 1
                    return
                name = self._broken.popleft()
            try:
                self._repair(name)
                backoff = REPAIR_BACKOFF_SECONDS[0]
            except Exception as error:
                if not isinstance(error, PixelBloomError):
                    log.exception("repair_failed", topic=name)
                with self._lock:
                    if name in self._members and name not in self._broken:
                        self._broken.append(name)
                time.sleep(backoff)
                backoff = min(backoff * 2, longest)

    def _repair(self, name: str) -> None:
        """Bring every member of the topic that waits for it to the present. Raises PixelBloomError to try later."""
        with self._lock:
            groups: dict[tuple[Any, ...], list[Member]] = {}
            for member in self._members.get(name, ()):
                if not member.pending and (member.held is not None or isinstance(member, Listener)):
                    groups.setdefault(member.position, []).append(member)
        for position, members in groups.items():
            found = members[0].fetch()
            with self.turn():
                for member in members:
                    if member.gone:
                        continue
                    if member.position == position:
                        member.apply(found)
                    elif member.held is not None:  # another repair was faster, and it waits for one again
                        self.repair(member)
