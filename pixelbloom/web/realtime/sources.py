"""Where the current state of topics is read from, and who may see it."""

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

#: How often the database is read if text of a later revision is published meanwhile.
ATTEMPTS = 3


class Stream(Protocol):
    """A topic as one subscription follows it. `name` is where its events come from."""

    @property
    def name(self) -> str: ...

    def read(self, since: int | None, epoch: str | None) -> Found | None:
        """Return what a client that has everything up to `since` needs; None if the subject does not exist.

        May raise Unavailable.
        """

    def allows(self, principal: Principal, found: Found) -> bool:
        """Return whether the caller may see it."""

    def close(self) -> None:
        """Release the resources of the subscription."""


class Source(Protocol):
    """The topics of one kind."""

    def open(self, topic: Topic, principal: Principal, params: Mapping[str, Any]) -> Stream:
        """Open a topic. Raises InvalidInput for invalid parameters."""


Sources = Mapping[str, Source]


class RunSource:
    """`workflow_run:<id>`: Redis has the state of runs that changed within an hour, the database that of all runs."""

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
        """Read a run's state. If Redis does not have it, write it there from the database first, so that it has a place
        in the sequence and later publications that are not newer are dropped.
        """
        assert topic.id is not None
        found = self._reader.read(topic, since, epoch)
        if found is not None:
            return self._newest(topic, found) if _is_behind(found, since, epoch) else found
        for _ in range(ATTEMPTS):
            update = self._load(topic.id)
            if update is None:
                return None
            self._publisher.install(update)
            found = self._reader.read(topic, since, epoch)
            if found is not None:
                return found
        raise Unavailable("Redis does not store the run's state; try again.", 1)

    def _newest(self, topic: Topic, found: Found) -> Found:
        """Publish the database's state again: Redis lost events that were delivered, perhaps the run's end."""
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
        """Do nothing: there is nothing to release."""


def _is_behind(found: Found, since: int | None, epoch: str | None) -> bool:
    """Return whether the client has seen later events than Redis has."""
    return since is not None and since > found.seq and epoch in (None, found.epoch)
