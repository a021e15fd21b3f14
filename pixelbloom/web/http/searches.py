"""Limit of concurrent searches and figures per user; they cost the database more than other reads."""

from collections.abc import Callable
from threading import BoundedSemaphore

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited


class Searches:
    """The searches of one process. Those of services are not limited: they act for many.

    A search over the limit waits for a slot, `queue_seconds` at most.
    """

    def __init__(self, per_user: int, queue_seconds: float) -> None:
        self._per_user = per_user
        self._queue_seconds = queue_seconds
        self._slots: dict[str, tuple[BoundedSemaphore, list[None]]] = {}

    def enter(self, caller: Principal) -> Callable[[], None]:
        """Wait for a slot of the caller. Return a function that releases it. Raises RateLimited after the wait."""
        if caller.kind == "service":
            return nothing
        name = caller.caller
        slots, users = self._slots.setdefault(name, (BoundedSemaphore(self._per_user), []))
        users.append(None)

        def drop() -> None:
            users.pop()
            if not users:
                self._slots.pop(name, None)

        if not slots.acquire(timeout=self._queue_seconds):
            drop()
            raise RateLimited(
                f"You have {self._per_user} searches or figures in progress; wait for them, then try again.", 1.0
            )

        def release() -> None:
            slots.release()
            drop()

        return release


def nothing() -> None:
    """Release nothing."""
