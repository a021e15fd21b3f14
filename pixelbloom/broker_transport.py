"""kombu's transport for Redis, with one client for each channel and pool.

kombu builds a client for each operation, which costs more than the operation itself. A client is only a handle to its
connection pool and is safe to share between threads.
"""

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that builds its client for publishing once."""

    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[no-untyped-call]
        return self._shared


class Transport(redis.Transport):
    """The transport of `redis://` and `rediss://`, by celery_app.py; workers use their own kind of it."""

    Channel = Channel
