"""Time limits for calls that cannot be interrupted, like the system's name lookup."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Maximum calls running, including those abandoned after a timeout. Beyond it, no call starts.
MAX_ABANDONED = 64
_running = threading.BoundedSemaphore(MAX_ABANDONED)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return the call's result, or raise its exception. Raises TimeoutError after `seconds`.

    After a timeout the call continues in its thread, and its result is dropped.
    """
    if seconds <= 0 or not _running.acquire(timeout=seconds):
        raise TimeoutError
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)
        finally:
            _running.release()

    thread = threading.Thread(target=run, name="lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
