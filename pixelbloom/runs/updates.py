"""Publishes the updates of runs at once, and acknowledges their outbox rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from pixelbloom.events.publisher import Publisher

log = structlog.get_logger(__name__)


class UpdatePublisher:
    """Publishes updates that the database returned. The outbox publishes those that fail.

    `acknowledge` takes the ids of outbox rows that need not be published any more.
    """

    def __init__(self, publisher: Publisher, acknowledge: Callable[[Sequence[int]], None]) -> None:
        self._publisher = publisher
        self._acknowledge = acknowledge

    def publish(self, updates: Sequence[Mapping[str, Any]]) -> None:
        """Publish these updates in order, in one round trip. Never raises."""
        try:
            self._publisher.publish_payloads(updates)
        except Exception as error:
            log.warning("updates_left_to_outbox", count=len(updates), reason=type(error).__name__)
        else:
            # The update of a repeated claim has no outbox row.
            self._acknowledge([update["outbox_id"] for update in updates if "outbox_id" in update])
