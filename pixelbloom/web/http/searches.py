"""Searches and figures, which cost the database more than other reads: how many of one user run at once."""

from collections.abc import Callable
from threading import BoundedSemaphore

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited


class Searches:
    """The searches of one process. Those of services are not bounded: they act for many.

    A further one of the same user waits for its turn, `queue_seconds` at most.
    """

    def __init__(self, per_user: int, queue_seconds: float) -> None:
        self._per_user = per_user
        self._queue_seconds = queue_seconds
        self._slots: dict[str, tuple[BoundedSemaphore, list[None]]] = {}

    def enter(self, caller: Principal) -> Callable[[], None]:
        """Wait for a slot of the caller. Returns what gives it back. Raises RateLimited where none came in time."""
        if caller.kind == "service":
            return nothing
        name = caller.caller
        slots, users = self._slots.setdefault(name, (BoundedSemaphore(self._per_user), []))
        users.append(None)

        def leave() -> None:
            users.pop()
            if not users:
                self._slots.pop(name, None)

        if not slots.acquire(timeout=self._queue_seconds):
            leave()
            raise RateLimited(
                f"You have {self._per_user} searches or figures under way; wait for them, then try again.", 1.0
            )

        def release() -> None:
            slots.release()
            leave()

        return release


def nothing() -> None:
    """Give back no slot."""
