"""Where topics get their present state from, and who may see it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Unavailable
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.reader import Recovered, Snapshot, TopicReader
from pixelbloom.events.topics import Topic
from pixelbloom.events.types import RunUpdate

Found = Recovered | Snapshot

#: How often the database is asked where text of a later revision is told meanwhile.
ATTEMPTS = 3


class Stream(Protocol):
    """A topic as one subscription follows it. `name` is where its events come from."""

    @property
    def name(self) -> str: ...

    def read(self, since: int | None, epoch: str | None) -> Found | None:
        """What one who has everything up to `since` needs; None where there is no such subject.

        May raise Unavailable.
        """

    def allows(self, principal: Principal, found: Found) -> bool:
        """Whether the caller may see it."""

    def close(self) -> None:
        """The subscription has ended."""


class Source(Protocol):
    """The topics of one kind."""

    def open(self, topic: Topic, principal: Principal, params: Mapping[str, Any]) -> Stream:
        """Raises InvalidInput for parameters that the topic does not take."""


Sources = Mapping[str, Source]


class RunSource:
    """`workflow_run:<id>`: Redis has the state of what moved within the hour, the database that of all others."""

    def __init__(
        self,
        reader: TopicReader,
        publisher: Publisher,
        load_run_update: Callable[[UUID], RunUpdate | None],
    ) -> None:
        self._reader = reader
        self._publisher = publisher
        self._load = load_run_update

    def open(self, topic: Topic, principal: Principal, params: Mapping[str, Any]) -> "RunStream":  # noqa: ARG002
        return RunStream(self, topic)

    def read(self, topic: Topic, since: int | None, epoch: str | None) -> Found | None:
        """Put the database's state into Redis first where it is missing there, so that its place in the order of
        events is fixed: what is published later and is not newer is dropped.
        """
        assert topic.id is not None
        found = self._reader.read(topic, since, epoch)
        if found is not None:
            return self._newest(topic, found) if _went_back(found, since, epoch) else found
        for _ in range(ATTEMPTS):
            update = self._load(topic.id)
            if update is None:
                return None
            self._publisher.install(update)
            found = self._reader.read(topic, since, epoch)
            if found is not None:
                return found
        raise Unavailable("Redis does not keep the run's state; try again.", 1)

    def _newest(self, topic: Topic, found: Found) -> Found:
        """Redis does not know any more what it told, perhaps the run's end: tell it again what the database has."""
        assert topic.id is not None
        update = self._load(topic.id)
        if update is None:
            return found
        self._publisher.run_update(update)
        return self._reader.read(topic) or found


class RunStream:
    """One run."""

    def __init__(self, source: RunSource, topic: Topic) -> None:
        self._source = source
        self._topic = topic

    @property
    def name(self) -> str:
        return self._topic.name

    def read(self, since: int | None, epoch: str | None) -> Found | None:
        return self._source.read(self._topic, since, epoch)

    def allows(self, principal: Principal, found: Found) -> bool:
        return principal.may_read(UUID(found.owner) if found.owner else None)

    def close(self) -> None:
        """Nothing is held for it."""


def _went_back(found: Found, since: int | None, epoch: str | None) -> bool:
    """Whether somebody has seen later events than Redis has."""
    return since is not None and since > found.seq and epoch in (None, found.epoch)
