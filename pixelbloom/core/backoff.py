"""The pause before another attempt, with jitter, so that many who failed together do not come back together."""

import random

MAX_BACKOFF_SECONDS = 3600.0
#: The smallest fraction of the ceiling after jitter.
LEAST = 0.5


def backoff(first: float, attempt: int, maximum: float = MAX_BACKOFF_SECONDS) -> float:
    """Return the seconds to wait after `attempt`, counted from 1: doubling from `first`, bounded, with jitter."""
    ceiling = min(first * 2.0 ** min(attempt - 1, 30), maximum)
    return ceiling * random.uniform(LEAST, 1.0)  # noqa: S311  (jitter, not a secret)


class Backoff:
    """The pauses of one connection or loop: they double up to a maximum until it succeeds."""

    def __init__(self, first: float, maximum: float) -> None:
        self._first = first
        self._maximum = maximum
        self._attempts = 0

    def next(self) -> float:
        """Return the seconds to wait now."""
        self._attempts += 1
        return backoff(self._first, self._attempts, self._maximum)

    def reset(self) -> None:
        """Start from the first pause again, after a success."""
        self._attempts = 0
