"""Group commit: writes submitted while a bulk is in flight are sent together as the next bulk.

There is no timer and no added delay: an idle process sends each write at once, alone.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from pixelbloom.core.text import unstorable
from pixelbloom.database.gateway import RejectedData, StoreError
from pixelbloom.errors import InvalidInput

MAX_ITEMS = 50
MAX_BYTES = 4 * 1024 * 1024


R = TypeVar("R")


class GroupCommit(Generic[R]):
    """Sends items in bulks through `send`, which returns one result per item, in order.

    A thread that finds nothing in flight becomes the sender of its own item and of those submitted meanwhile.
    A bulk that the database rejects is bisected down to the invalid item, so that only its caller gets the error.
    """

    def __init__(
        self,
        send: Callable[[Sequence[dict[str, Any]]], Sequence[R]],
        *,
        max_items: int = MAX_ITEMS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._send = send
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: deque[tuple[dict[str, Any], int, Future[R]]] = deque()
        self._sending = False

    def submit(self, item: dict[str, Any]) -> R:
        """Send an item and wait for its result.

        Raises InvalidInput for an item that JSON or Postgres cannot represent, and whatever `send` raises.
        """
        size = storable_size(item)
        future: Future[R] = Future()
        with self._lock:
            self._waiting.append((item, size, future))
            lead = not self._sending
            self._sending = True
        if lead:
            self._drain(until=future)
        return future.result()

    def _drain(self, until: Future[R]) -> None:
        """Send bulks until the caller's item has a result, then start another sender for waiting items, if any."""
        while True:
            bulk = self._take()
            if not bulk:
                return
            self._send_bulk([item for item, _, _ in bulk], [future for _, _, future in bulk])
            if until.done():
                with self._lock:
                    if not self._waiting:
                        self._sending = False
                        return
                # A separate thread sends the rest, so that this caller's result does not wait for others'.
                threading.Thread(target=self._drain_rest, name="group-commit", daemon=True).start()
                return

    def _drain_rest(self) -> None:
        while bulk := self._take():
            self._send_bulk([item for item, _, _ in bulk], [future for _, _, future in bulk])

    def _take(self) -> list[tuple[dict[str, Any], int, Future[R]]]:
        bulk: list[tuple[dict[str, Any], int, Future[R]]] = []
        total = 0
        with self._lock:
            while self._waiting and len(bulk) < self._max_items:
                size = self._waiting[0][1]
                if bulk and total + size > self._max_bytes:
                    break
                total += size
                bulk.append(self._waiting.popleft())
            if not bulk:
                self._sending = False
        return bulk

    def _send_bulk(self, items: list[dict[str, Any]], futures: list[Future[R]]) -> None:
        try:
            results = self._send(items)
            if len(results) != len(items):
                raise StoreError(f"{len(items)} items were sent and {len(results)} results came back")
        except RejectedData as error:
            if len(items) == 1:
                futures[0].set_exception(error)
                return
            half = len(items) // 2
            self._send_bulk(items[:half], futures[:half])
            self._send_bulk(items[half:], futures[half:])
        except BaseException as error:  # every waiting caller must get the error
            for future in futures:
                future.set_exception(error)
        else:
            for future, result in zip(futures, results, strict=True):
                future.set_result(result)


def storable_size(item: dict[str, Any]) -> int:
    """Return the item's size in bytes as JSON. Raises InvalidInput if JSON or Postgres cannot represent it."""
    try:
        encoded = json.dumps(item, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "The input has text that is not valid Unicode, or values that JSON cannot represent."
        ) from error
    if b"\\u0000" in encoded:
        for part in unstorable(item, "input"):
            raise InvalidInput(f"{part.field} {part.message}; remove it.")
    return len(encoded)
