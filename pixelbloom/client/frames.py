"""The server's frames as values, and the other events of the iterators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Subscribed:
    """A topic was subscribed. Unless `recovered`, a snapshot follows and replaces what was seen before."""

    topic: str
    seq: int
    epoch: str | None
    recovered: bool


@dataclass(frozen=True)
class Unsubscribed:
    """A topic was unsubscribed."""

    topic: str


@dataclass(frozen=True)
class TopicEvent:
    """An event of a topic that was subscribed to. A `snapshot` is the whole present state at that `seq`."""

    channel: str
    topic: str
    data: Any
    seq: int | None
    ts: str | None
    snapshot: bool


@dataclass(frozen=True)
class FlatEvent:
    """An event of the user's own channel, in the flat form: `lead_created`, `notification_created` ...

    Such events are not repeated after `Lost`: read over HTTP at each `Connected` what may have changed before it.
    """

    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """The server rejected a frame of this client. `topic` names its topic, where the server says it."""

    code: str
    message: str
    topic: str | None


@dataclass(frozen=True)
class Connected:
    """The connection is open, at first and after each `Lost`: every flat event from now on will be yielded."""


@dataclass(frozen=True)
class Lost:
    """The connection is gone; the client tries again in `retry_in` seconds and goes on where it stopped."""

    close_code: int | None
    reason: str
    retry_in: float


@dataclass(frozen=True)
class Pong:
    """The response to a ping."""


Frame = Subscribed | Unsubscribed | TopicEvent | FlatEvent | Problem | Pong
Event = Connected | Subscribed | Unsubscribed | TopicEvent | FlatEvent | Problem | Lost


def parse(frame: Any) -> Frame | None:
    """What a decoded frame says, or None for one of a kind that is not known: newer servers may send such."""
    if not isinstance(frame, Mapping):
        return None
    topic = _text(frame.get("topic"))
    match frame.get("type"), topic:
        case "event", str(topic):
            return TopicEvent(
                channel=_text(frame.get("channel")) or "",
                topic=topic,
                data=frame.get("data"),
                seq=_whole(frame.get("seq")),
                ts=_text(frame.get("ts")),
                snapshot=frame.get("snapshot") is True,
            )
        case "subscribed", str(topic):
            return Subscribed(
                topic=topic,
                seq=_whole(frame.get("seq")) or 0,
                epoch=_text(frame.get("epoch")),
                recovered=frame.get("recovered") is True,
            )
        case "unsubscribed", str(topic):
            return Unsubscribed(topic)
        case "error", _:
            return Problem(_text(frame.get("code")) or "INTERNAL", _text(frame.get("message")) or "", topic)
        case "pong", _:
            return Pong()
        case str(kind), _ if isinstance(frame.get("data"), Mapping):
            return FlatEvent(kind, frame["data"])
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
