"""kombu's transport for Redis, with one client for each channel and pool, and without transactions around each message.

kombu builds a client for each operation, which costs more than the operation itself. A client is only a handle to its
connection pool and is safe to share between threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis


class QoS(redis.QoS):
    """Notes received messages in a hash and its index, in one round trip.

    An entry of only one of the two, after a crash of Redis, is harmless: the sweep publishes what the broker lost.
    """

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        """Yield the pipeline, or a new one that is no transaction."""
        if pipe is not None:
            yield pipe
        else:
            with self.channel.conn_or_acquire(client) as connection:
                yield connection.pipeline(transaction=False)


class Channel(redis.Channel):
    """A channel that builds its client for publishing once."""

    QoS = QoS

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
