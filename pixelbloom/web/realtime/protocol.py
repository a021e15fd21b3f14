"""Client frames as values, and the error frame."""

from dataclasses import dataclass
from typing import Any

import orjson

MAX_TOPIC = 200
MAX_EPOCH = 64
MAX_SEQ = 2**53
MAX_TOKEN = 16_384


class BadFrame(Exception):
    """An invalid frame; the socket stays open. The message says what to do."""

    def __init__(self, message: str, topic: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.topic = topic


@dataclass(frozen=True)
class Subscribe:
    topic: str
    params: dict[str, Any]
    since: int | None
    epoch: str | None


@dataclass(frozen=True)
class Unsubscribe:
    topic: str


@dataclass(frozen=True)
class Ping:
    pass


@dataclass(frozen=True)
class Heartbeat:
    pass


@dataclass(frozen=True)
class Auth:
    token: str


Request = Subscribe | Unsubscribe | Ping | Heartbeat | Auth


def parse(message: str | bytes) -> Request:
    """Read a client's frame. Raises BadFrame."""
    if not isinstance(message, str):
        raise BadFrame("Send text frames that contain JSON; binary frames are not supported.")
    try:
        frame = orjson.loads(message)
    except (orjson.JSONDecodeError, RecursionError):
        raise BadFrame("The frame is not JSON.") from None
    if not isinstance(frame, dict):
        raise BadFrame('The frame must be a JSON object, like {"type": "ping"}.')
    match frame.get("type"):
        case "subscribe":
            return _subscribe(frame)
        case "unsubscribe":
            return Unsubscribe(_topic(frame))
        case "ping":
            return Ping()
        case "heartbeat":
            return Heartbeat()
        case "auth":
            return Auth(_token(frame))
        case _:
            raise BadFrame('"type" must be one of subscribe, unsubscribe, ping, heartbeat, auth.')


def _subscribe(frame: dict[str, Any]) -> Subscribe:
    topic = _topic(frame)
    params, since, epoch = frame.get("params"), frame.get("since"), frame.get("epoch")
    if params is not None and not isinstance(params, dict):
        raise BadFrame('"params" must be an object.', topic)
    if since is not None and (type(since) is not int or not 0 <= since <= MAX_SEQ):
        raise BadFrame('"since" must be the seq of the last event you have.', topic)
    if epoch is not None and (not isinstance(epoch, str) or not 0 < len(epoch) <= MAX_EPOCH):
        raise BadFrame('"epoch" must be the one from "subscribed".', topic)
    return Subscribe(topic, params or {}, since, epoch)


def _topic(frame: dict[str, Any]) -> str:
    topic = frame.get("topic")
    if not isinstance(topic, str) or not 0 < len(topic) <= MAX_TOPIC:
        raise BadFrame('"topic" must be a string, like "workflow_run:<id>".')
    return topic


def _token(frame: dict[str, Any]) -> str:
    token = frame.get("token")
    if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN:
        raise BadFrame('"token" must be a string.')
    return token


def error_frame(code: str, message: str, topic: str | None = None) -> dict[str, Any]:
    """Return an error frame, with the topic it is about, if any."""
    frame = {"type": "error", "code": code, "message": message}
    return frame if topic is None else {**frame, "topic": topic}
