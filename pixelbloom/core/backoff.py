"""The pause before another attempt."""

import random

MAX_BACKOFF_SECONDS = 3600.0


def backoff(first: float, attempt: int) -> float:
    """Return the seconds to wait after `attempt`, counted from 1: doubling from `first`, bounded, with jitter."""
    ceiling = min(first * 2.0 ** min(attempt - 1, 30), MAX_BACKOFF_SECONDS)
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311  (jitter, not a secret)
