"""Reads topics for late subscribers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis

from pixelbloom.errors import Unavailable
from pixelbloom.events.publisher import common_args, dedup_key, now
from pixelbloom.events.scripts import source
from pixelbloom.events.topics import Keys, Topic


@dataclass(frozen=True)
class Recovered:
    """Every message after the requested position."""

    epoch: str
    seq: int
    owner: str
    messages: Sequence[bytes]


@dataclass(frozen=True)
class Snapshot:
    """The full state at `seq`, as an encoded frame."""

    epoch: str
    seq: int
    owner: str
    frame: bytes


@dataclass(frozen=True)
class FeedPosition:
    """The end of a feed, and the requested messages."""

    epoch: str
    seq: int
    messages: Sequence[bytes]


@dataclass(frozen=True)
class StreamPosition:
    """The end of a topic that stores no state.

    `messages` follow the requested position; None if the history does not reach back to it.
    `published` has one flag per requested event.
    """

    epoch: str
    seq: int
    messages: Sequence[bytes] | None
    published: Sequence[bool]


class TopicReader:
    """Reads topics and feeds in Redis. Every method may raise Unavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._read = client.register_script(source("read"))
        self._feed = client.register_script(source("feed"))
        self._stream = client.register_script(source("stream"))

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Recovered | Snapshot | None:
        """Return what a client needs that has everything up to `since` of `epoch`; None if Redis has no state."""
        keys = Keys.of(topic.name)
        result = self._call(self._read, [keys.meta, keys.log, keys.text], since, epoch)
        if result[0] == b"missing":
            return None
        found, seq, owner = result[1].decode(), int(result[2]), result[3].decode()
        if result[0] == b"recovered":
            return Recovered(found, seq, owner, result[4])
        data, terminal, step, start, full, running, pairs = result[4:11]
        if terminal != b"1":
            texts = dict(
                zip((key.decode() for key in pairs[::2]), (text.decode() for text in pairs[1::2]), strict=True)
            )
            text = texts.get(step.decode(), "")
            data = data[:-1] + b',"text":' + orjson.dumps(text) + _whereabouts(start, full)
            data += (b',"texts":' + orjson.dumps(texts) if running else b"") + b"}"
        return Snapshot(found, seq, owner, snapshot_frame(topic, data, seq))

    def feed(self, name: str, since: int | None = None, epoch: str | None = None) -> FeedPosition:
        """Return the end of a user's feed; with `since`, also the messages after it."""
        keys = Keys.of(name)
        found, seq, messages = self._call(self._feed, [keys.meta, keys.log], since, epoch)
        return FeedPosition(found.decode(), int(seq), messages)

    def stream(
        self, name: str, since: int | None = None, epoch: str | None = None, events: Sequence[str] = ()
    ) -> StreamPosition:
        """Return the end of a topic; with `since`, also the messages after it. `events` are ids to look up."""
        keys = Keys.of(name)
        marks = [dedup_key(event) for event in events]
        found, seq, recovered, messages, published = self._call(
            self._stream, [keys.meta, keys.log, *marks], since, epoch
        )
        return StreamPosition(
            found.decode(), int(seq), messages if recovered else None, [bool(mark) for mark in published]
        )

    def _call(self, script: Any, keys: list[str], since: int | None, epoch: str | None) -> list[Any]:
        try:
            args = [*common_args(), "" if since is None else str(since), epoch or ""]
            return cast(list[Any], script(keys=keys, args=args))
        except redis.RedisError as error:
            raise Unavailable(f"Redis is unreachable ({type(error).__name__}); try again.", 1) from error


def _whereabouts(start: bytes, full: bytes) -> bytes:
    """Return the members that mark incomplete text: its start was lost, or it grew too long to store."""
    members = b"" if start in (b"0", b"") else b',"text_from":' + start
    return members + (b',"text_truncated":true' if full == b"1" else b"")


def snapshot_frame(topic: Topic, data: bytes, seq: int) -> bytes:
    """Return an `event` frame with the full state."""
    moment, _ = now()
    return (
        f'{{"type":"event","channel":"{topic.channel}","topic":"{topic.name}","snapshot":true,"data":'.encode()
        + data
        + f',"ts":"{moment}","seq":{seq}}}'.encode()
    )
