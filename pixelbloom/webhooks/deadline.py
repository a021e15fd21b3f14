"""Calls that cannot be interrupted, like the system's name lookup, within a time all the same."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Calls that go on after their time was up. With more of them nothing is begun.
MAX_ABANDONED = 64
_running = threading.BoundedSemaphore(MAX_ABANDONED)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what the call returns, or raise what it raises. Raises TimeoutError where it takes longer.

    It then goes on in a thread of its own, and its result is dropped.
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
