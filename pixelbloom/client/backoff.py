"""How long to wait before the next attempt to connect."""

import random

FIRST_SECONDS, MAX_SECONDS, FACTOR = 0.5, 20.0, 2.0
#: The smallest fraction of the ceiling after jitter.
LEAST = 0.2


class Backoff:
    """Delays that double up to a ceiling, with jitter, so that a thousand clients do not come back as one."""

    def __init__(self, first: float = FIRST_SECONDS, maximum: float = MAX_SECONDS) -> None:
        self._first = first
        self._maximum = maximum
        self._ceiling = first

    def next(self) -> float:
        """Return the seconds to wait now."""
        ceiling = self._ceiling
        self._ceiling = min(self._maximum, ceiling * FACTOR)
        return ceiling * random.uniform(LEAST, 1.0)  # noqa: S311  (jitter, not a secret)

    def reset(self) -> None:
        """Start from the first delay again, after a stable connection."""
        self._ceiling = self._first
