"""Reading a topic as one who comes in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis

from pixelbloom.errors import Unavailable
from pixelbloom.events.publisher import common_args, now, told_key
from pixelbloom.events.scripts import source
from pixelbloom.events.topics import Keys, Topic


@dataclass(frozen=True)
class Recovered:
    """Every message after the one that was asked for."""

    epoch: str
    seq: int
    owner: str
    messages: Sequence[bytes]


@dataclass(frozen=True)
class Snapshot:
    """The whole present state at `seq`, as a finished frame."""

    epoch: str
    seq: int
    owner: str
    frame: bytes


@dataclass(frozen=True)
class FeedPosition:
    """Where a feed ends, and the messages that were asked for."""

    epoch: str
    seq: int
    messages: Sequence[bytes]


@dataclass(frozen=True)
class StreamPosition:
    """Where a topic ends whose state is kept elsewhere. `messages` are those after what was asked for, or None where
    the history does not reach back to it; `told` says of each event that was asked about whether it was told.
    """

    epoch: str
    seq: int
    messages: Sequence[bytes] | None
    told: Sequence[bool]


class TopicReader:
    """Reads topics and feeds in Redis. Every method may raise Unavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._read = client.register_script(source("read"))
        self._feed = client.register_script(source("feed"))
        self._stream = client.register_script(source("stream"))

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Recovered | Snapshot | None:
        """What one who has all up to `since` of `epoch` needs; None where Redis does not know the state."""
        keys = Keys.of(topic.name)
        answer = self._call(self._read, [keys.meta, keys.log, keys.text], since, epoch)
        if answer[0] == b"missing":
            return None
        found, seq, owner = answer[1].decode(), int(answer[2]), answer[3].decode()
        if answer[0] == b"recovered":
            return Recovered(found, seq, owner, answer[4])
        data, terminal, step, start, full, running, pairs = answer[4:11]
        if terminal != b"1":
            texts = dict(
                zip((key.decode() for key in pairs[::2]), (text.decode() for text in pairs[1::2]), strict=True)
            )
            text = texts.get(step.decode(), "")
            data = data[:-1] + b',"text":' + orjson.dumps(text) + _whereabouts(start, full)
            data += (b',"texts":' + orjson.dumps(texts) if running else b"") + b"}"
        return Snapshot(found, seq, owner, snapshot_frame(topic, data, seq))

    def feed(self, name: str, since: int | None = None, epoch: str | None = None) -> FeedPosition:
        """The end of a user's feed; with `since`, the messages after it too."""
        keys = Keys.of(name)
        found, seq, messages = self._call(self._feed, [keys.meta, keys.log], since, epoch)
        return FeedPosition(found.decode(), int(seq), messages)

    def stream(
        self, name: str, since: int | None = None, epoch: str | None = None, events: Sequence[str] = ()
    ) -> StreamPosition:
        """The end of a topic; with `since` the messages after it. `events` are ids of events asked about."""
        keys = Keys.of(name)
        marks = [told_key(event) for event in events]
        found, seq, recovered, messages, told = self._call(self._stream, [keys.meta, keys.log, *marks], since, epoch)
        return StreamPosition(found.decode(), int(seq), messages if recovered else None, [bool(mark) for mark in told])

    def _call(self, script: Any, keys: list[str], since: int | None, epoch: str | None) -> list[Any]:
        try:
            args = [*common_args(), "" if since is None else str(since), epoch or ""]
            return cast(list[Any], script(keys=keys, args=args))
        except redis.RedisError as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__}); try again.", 1) from error


def _whereabouts(start: bytes, full: bytes) -> bytes:
    """Says where the text is not whole: its beginning was lost, or it grew too long to keep."""
    said = b"" if start in (b"0", b"") else b',"text_from":' + start
    return said + (b',"text_truncated":true' if full == b"1" else b"")


def snapshot_frame(topic: Topic, data: bytes, seq: int) -> bytes:
    """An `event` that carries the whole state."""
    moment, _ = now()
    return (
        f'{{"type":"event","channel":"{topic.channel}","topic":"{topic.name}","snapshot":true,"data":'.encode()
        + data
        + f',"ts":"{moment}","seq":{seq}}}'.encode()
    )
