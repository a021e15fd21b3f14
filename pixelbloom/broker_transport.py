"""kombu's transports for Redis, with one client for each channel and pool, and no transactions around messages.

kombu builds a client for each operation, which costs more than the operation itself. A client is only a handle to its
connection pool and is safe to share between threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


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


class SharedClient:
    """Part of a channel: it builds its client for publishing once."""

    QoS = QoS

    pool: Any
    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[misc]
        return self._shared


class Channel(SharedClient, redis.Channel):
    """The channel of one server."""


class SentinelChannel(SharedClient, redis.SentinelChannel):
    """The channel of the master that Sentinels name. A Sentinel that is away is not asked twice, but the next one."""

    sentinel_kwargs: Any = None

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        self.sentinel_kwargs = {**(self.sentinel_kwargs or {}), "retry": Retry(NoBackoff(), 0)}
        return super()._sentinel_managed_pool(asynchronous)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    """The transport of `redis://` and `rediss://`, by celery_app.py; workers use their own kind of it."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """The same for `sentinel://`."""

    Channel = SentinelChannel
