"""Searches and figures, which cost the database more than other reads: how many of one user run at once."""

from collections.abc import Callable
from threading import BoundedSemaphore

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited

#: How long a further one waits for its turn.
QUEUE_SECONDS = 5.0


class Searches:
    """The searches of one process. Those of services are not bounded: they act for many."""

    def __init__(self, per_user: int) -> None:
        self._per_user = per_user
        self._slots: dict[str, tuple[BoundedSemaphore, list[None]]] = {}

    def enter(self, caller: Principal) -> Callable[[], None]:
        """Wait for a slot of the caller's. Returns what gives it back. Raises RateLimited after QUEUE_SECONDS."""
        if caller.kind == "service":
            return nothing
        name = caller.caller
        slots, users = self._slots.setdefault(name, (BoundedSemaphore(self._per_user), []))
        users.append(None)

        def leave() -> None:
            users.pop()
            if not users:
                self._slots.pop(name, None)

        if not slots.acquire(timeout=QUEUE_SECONDS):
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
