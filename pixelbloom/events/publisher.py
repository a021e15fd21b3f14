"""The one publisher of events."""

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import redis
from redis.commands.core import Script

from pixelbloom.config import Settings
from pixelbloom.core.text import encodable
from pixelbloom.errors import Unavailable
from pixelbloom.events.client import connect
from pixelbloom.events.domain import DomainEvent
from pixelbloom.events.scripts import HISTORY_LENGTH, HISTORY_SECONDS, source
from pixelbloom.events.topics import WORKFLOWS, Keys, Topic, admins_feed, run_topic, user_feed
from pixelbloom.events.types import RunDelta, RunUpdate

#: Text of a run stored for later subscribers; text beyond it reaches only current subscribers.
TEXT_BYTES = 256 * 1024
#: How long the id of a published event is remembered.
DEDUP_TTL_SECONDS = 900
#: Minimum time between two computations of live figures, over all processes.
FIGURES_MS = 1_000


def publisher_redis(settings: Settings) -> redis.Redis:
    """Return the publisher's client; it connects on first use. Raises ConfigurationError without REDIS_URL."""
    return connect(settings.require("redis_url"))


def dumps(value: Any) -> str:
    """Return JSON of a value that may contain lone surrogates."""
    try:
        return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return orjson.dumps(_clean(value)).decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def now() -> tuple[str, str]:
    """Return the current time as ISO 8601 in UTC with `Z`, and as milliseconds since 1970."""
    moment = time.time()
    iso = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return iso, str(int(moment * 1000))


class Publisher:
    """Numbers the events of each topic, stores them in the topic's history, and publishes them.

    Every call is idempotent: events that are not newer are dropped. Safe to share between threads and greenlets.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._state = client.register_script(source("state"))
        self._delta = client.register_script(source("delta"))
        self._install = client.register_script(source("install"))
        self._event = client.register_script(source("event"))
        self._figures = client.register_script(source("figures"))
        self._refresh_lock = client.register_script(source("refresh_lock"))

    def run_update(self, update: RunUpdate) -> bool:
        """Publish a run's state to its topic and its user. Return False if it was published already.

        Raises Unavailable if Redis is unreachable; the outbox then publishes it later.
        """
        return self.run_updates([update])[0]

    def run_updates(self, updates: Sequence[RunUpdate]) -> list[bool]:
        """Publish many states in order, in one round trip. Raises Unavailable if one was not accepted."""
        return self._call(self._state, [_state_call(update) for update in updates])

    def publish_payloads(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Publish the states in these payloads of the database, in order. Raises Unavailable."""
        self.run_updates([RunUpdate.from_payload(payload) for payload in payloads])

    def run_deltas(self, deltas: Sequence[RunDelta]) -> list[bool]:
        """Publish many deltas in order, in one round trip. Raises Unavailable."""
        return self._call(self._delta, [_delta_call(delta) for delta in deltas])

    def install(self, update: RunUpdate) -> bool:
        """Store a state read from the database if Redis has none, without publishing it. Raises Unavailable."""
        keys = Keys.of(run_topic(update.run_id))
        args = [*common_args(), str(update.rev), *_state_args(update)]
        return self._call(self._install, [([keys.meta, keys.log, keys.text], args)])[0]

    def domain_events(self, events: Sequence[DomainEvent]) -> list[bool]:
        """Publish events to their owners and to administrators, in order, in one round trip.

        Return False for each that was published already. Raises Unavailable if one was not accepted.
        """
        return self._call(self._event, [_event_call(event) for event in events])

    def figures(self, name: str, topic: Topic, data: Any, position: str, at: int) -> bool:
        """Publish figures computed from the data at `at` of `position`, if they differ from the last ones.

        Raises Unavailable.
        """
        keys = Keys.of(name)
        text = dumps(data)
        opening, middle = _envelope(topic.channel, topic.name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        args = [*common_args(), keys.channel, opening + text, middle, digest, position, str(at)]
        return self._call(self._figures, [([keys.meta, keys.log], args)])[0]

    def try_acquire_refresh(self, name: str, position: str, at: int) -> int:
        """Return whether this process should recompute the figures: 1 yes, 0 ask again soon, -1 not needed.

        -1 means they were computed from the data at `at` of `position` or later. Raises Unavailable.
        """
        keys = Keys.of(name)
        try:
            return int(
                self._refresh_lock(
                    keys=[keys.meta, keys.meta + ":refresh"], args=[*common_args(), position, at, FIGURES_MS]
                )
            )
        except redis.RedisError as error:
            raise Unavailable(f"Redis is unreachable ({type(error).__name__}).", 1) from error

    def _call(self, script: Script, calls: Sequence[tuple[list[str], list[str | bytes]]]) -> list[bool]:
        if not calls:
            return []
        try:
            if len(calls) == 1:
                return [bool(script(keys=calls[0][0], args=calls[0][1]))]
            with self._redis.pipeline(transaction=False) as pipe:
                for keys, args in calls:
                    script(keys=keys, args=args, client=pipe)
                return [bool(result) for result in pipe.execute()]
        except redis.RedisError as error:
            raise Unavailable(f"Redis did not accept the event ({type(error).__name__}).", 1) from error


def common_args() -> list[str | bytes]:
    _, milliseconds = now()
    return [secrets.token_hex(4), milliseconds, str(HISTORY_LENGTH), str(HISTORY_SECONDS)]


def dedup_key(event_id: str) -> str:
    """Return the Redis key that marks an event as published."""
    return f"pb:dedup:{event_id}"


def _event_call(event: DomainEvent) -> tuple[list[str], list[str | bytes]]:
    names = [dedup_key(event.id)]
    flat = event.flat
    topic, channel, opening, middle = event.topic, "", "", ""
    if topic is not None:
        keys = Keys.of(topic)
        names += [keys.meta, keys.log]
        channel = keys.channel
        opening, middle = _envelope(event.channel, topic)
        opening += dumps(event.envelope)
    feeds = [Keys.of(admins_feed(event.channel))]
    if event.user_id is not None:
        feeds.append(Keys.of(user_feed(event.user_id, event.channel)))
    for feed in feeds:
        names += [feed.meta, feed.log]
    args = [
        *common_args(),
        str(DEDUP_TTL_SECONDS),
        event.type,
        "" if flat is None else f'{{"type":"{event.type}","data":{dumps(flat)}}}',
        topic or "",
        channel,
        opening,
        middle,
        *(feed.channel for feed in feeds),
    ]
    return names, args


def _envelope(channel: str, topic: str) -> tuple[str, str]:
    """Return the JSON before the data, and between the data and the sequence number."""
    moment, _ = now()
    opening = f'{{"type":"event","channel":"{channel}","topic":"{topic}","data":'
    return opening, f',"ts":"{moment}","seq":'


def _tail(rest: dict[str, Any]) -> str:
    """Return a JSON object's members, to append to others."""
    return "," + dumps(rest)[1:]


def _state_args(update: RunUpdate) -> list[str | bytes]:
    return [
        dumps(update.status),
        "1" if update.terminal else "0",
        dumps(update.progress),
        _tail(update.state()),
        str(update.user_id) if update.user_id else "",
        update.running,
    ]


def _state_call(update: RunUpdate) -> tuple[list[str], list[str | bytes]]:
    topic = run_topic(update.run_id)
    keys = Keys.of(topic)
    names = [keys.meta, keys.log, keys.text]
    feed = ""
    if update.user_id is not None:
        feed_keys = Keys.of(user_feed(update.user_id, WORKFLOWS))
        names += [feed_keys.meta, feed_keys.log]
        feed = feed_keys.channel
    opening, middle = _envelope(WORKFLOWS, topic)
    args = [
        *common_args(),
        keys.channel,
        opening,
        middle,
        str(update.rev),
        *_state_args(update),
        feed,
        '{"type":"workflow_status_update","data":',
        _tail(update.flat()) + "}",
        topic,
        encodable(update.status).replace(" ", "_") or "-",
    ]
    return names, args


def _delta_call(delta: RunDelta) -> tuple[list[str], list[str | bytes]]:
    topic = run_topic(delta.run_id)
    keys = Keys.of(topic)
    text = encodable(delta.text)
    opening, middle = _envelope(WORKFLOWS, topic)
    tail = _tail({"step": delta.step, "offset": delta.offset, "delta": text})[:-1]
    args = [
        *common_args(),
        keys.channel,
        opening,
        middle,
        str(delta.rev),
        str(delta.generation),
        str(delta.offset),
        str(len(text)),
        dumps(delta.status),
        dumps(round(delta.progress, 4)),
        tail,
        text.encode(),
        str(TEXT_BYTES),
        encodable(delta.step),
        "1" if delta.again else "0",
        f',"retrying_with":{dumps(delta.retrying_with)}' if delta.retrying_with else "",
    ]
    return [keys.meta, keys.log, keys.text], args
