"""`user:<id>`: a user's notifications as they come; a new subscriber gets a snapshot of the unread ones."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import orjson

from pixelbloom.auth.principal import Principal
from pixelbloom.events.publisher import dumps
from pixelbloom.events.reader import Recovered, Snapshot, TopicReader, snapshot_frame
from pixelbloom.events.topics import Topic
from pixelbloom.web.realtime.sources import Found

#: A snapshot has this many of the newest unread; `unread_count` counts all.
SNAPSHOT_ITEMS = 100


class UnreadReader(Protocol):
    """The part of the store that is used here."""

    def unread(self, user_id: UUID, limit: int) -> dict[str, Any]:
        """Return {"items", "unread_count", "unpublished"}; the last has ids of events that may not be published yet."""


class NotificationSource:
    """Reads the database between two reads of Redis, so that each notification is either in the snapshot or comes
    after it as an event, never both.
    """

    def __init__(self, reader: TopicReader, store: UnreadReader) -> None:
        self._reader = reader
        self._store = store

    def open(
        self,
        topic: Topic,
        principal: Principal,  # noqa: ARG002
        params: Mapping[str, Any],  # noqa: ARG002
    ) -> "NotificationStream":
        return NotificationStream(self, topic)

    def read(self, topic: Topic, since: int | None, epoch: str | None) -> Found:
        assert topic.id is not None
        owner = str(topic.id)
        before = self._reader.stream(topic.name, since, epoch)
        if before.messages is not None:
            return Recovered(before.epoch, before.seq, owner, before.messages)
        unread = self._store.unread(topic.id, SNAPSHOT_ITEMS)
        unpublished = [str(name) for name in unread["unpublished"]]
        after = self._reader.stream(
            topic.name, before.seq, before.epoch, [f"notification_created:{name}" for name in unpublished]
        )
        coming = {name for name, published in zip(unpublished, after.published, strict=True) if not published}
        items = {item["id"]: item for item in unread["items"] if item["id"] not in coming}
        count = unread["unread_count"] - len(coming)
        for message in after.messages or ():
            item = orjson.loads(message.partition(b"\n")[2])["data"]
            if item["id"] not in items and item["id"] not in unpublished:
                items = {item["id"]: item, **items}
                count += 1
        data = {"items": list(items.values())[:SNAPSHOT_ITEMS], "unread_count": count}
        frame = snapshot_frame(topic, dumps(data).encode(), after.seq)
        return Snapshot(after.epoch, after.seq, owner, frame)


class NotificationStream:
    """The notifications of one user."""

    def __init__(self, source: NotificationSource, topic: Topic) -> None:
        self._source = source
        self._topic = topic

    @property
    def name(self) -> str:
        return self._topic.name

    def read(self, since: int | None, epoch: str | None) -> Found:
        return self._source.read(self._topic, since, epoch)

    def allows(self, principal: Principal, found: Found) -> bool:  # noqa: ARG002
        return principal.may_read(self._topic.id)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
