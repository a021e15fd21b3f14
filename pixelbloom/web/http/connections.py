"""The HTTP connections of one process: their limits, and which are closed first when there are too many.

A connection that waits for bytes of its client (the head of a request, its body, or the next request) costs the client
nothing. Such a wait always has a deadline, and if connections run short, the oldest one ends early.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import gevent

#: Share of a process's connections past which a new connection ends the oldest wait.
FULL_SHARE = 0.9


class Reading(gevent.Timeout):  # type: ignore[misc]
    """A wait for bytes of a client. After `seconds`, or when ended early, `error` is raised in it.

    Without an error the block ends silently.
    """

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        super().__init__(seconds, exception=error or False)
        self._greenlet: Any = None
        self.address = ""

    def __enter__(self) -> Self:
        self._greenlet = gevent.getcurrent()
        self.address = connections.address_of(self._greenlet)
        connections.waiting[self] = None
        super().__enter__()
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> Any:
        connections.waiting.pop(self, None)
        self._greenlet = None
        return super().__exit__(kind, value, traceback)

    def end(self) -> None:
        """End the wait as if its time had passed."""
        connections.waiting.pop(self, None)
        gevent.get_hub().loop.run_callback(self._throw)

    def _throw(self) -> None:
        if self._greenlet is not None:  # else the bytes arrived and the block has ended
            self._greenlet.throw(self.exception or self)


class Connections:
    """The open connections by address, and their waits for bytes, oldest first. A limit of 0 means none."""

    def __init__(self) -> None:
        self.waiting: dict[Reading, None] = {}
        self._total = self._per_address = 0
        self._addresses: dict[Any, str] = {}
        self._open: Counter[str] = Counter()

    def set_limits(self, total: int, per_address: int) -> None:
        """Set the maximum number of connections of the process, and of one address."""
        self._total = int(total * FULL_SHARE)
        self._per_address = per_address

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._addresses)

    def address_of(self, greenlet: Any) -> str:
        """Return the client address of the connection that a greenlet serves."""
        return self._addresses.get(greenlet, "")

    @contextmanager
    def opened(self, address: str) -> Iterator[bool]:
        """Count a connection while the context is open. Yield False if its address has too many already.

        Past the address's limit, its oldest wait is ended; near the process's limit, the oldest wait of any address.
        """
        admitted = True
        if self._per_address and self._open[address] >= self._per_address:
            admitted = self._end_oldest(address)
        elif self._total and self.open >= self._total:
            self._end_oldest(None)
        greenlet = gevent.getcurrent()
        self._addresses[greenlet] = address
        self._open[address] += 1
        try:
            yield admitted
        finally:
            del self._addresses[greenlet]
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def _end_oldest(self, address: str | None) -> bool:
        for reading in self.waiting:
            if address is None or reading.address == address:
                reading.end()
                return True
        return False


#: The connections of this process.
connections = Connections()
