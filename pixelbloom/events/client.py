"""Redis clients that never wait for long, to one server or to the master that Sentinels name."""

from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from pixelbloom.core.sentinels import SCHEMES, SentinelAddress


class BlockingSentinelPool(SentinelConnectionPool, redis.BlockingConnectionPool):
    """A pool of connections to the master of Sentinels, which waits for a free connection."""


def connect(url: str, *, timeout_seconds: float = 2.0, connections: int = 64, retries: int = 1) -> redis.Redis:
    """Return a client for REDIS_URL, of any kind, that returns or raises within seconds.

    A command is sent at most twice: once more when a connection broke while idle. By default redis-py
    sends it up to eleven times, even an EVAL. Commands must be safe to repeat. With no `retries` it is sent once.
    """
    options = {
        "max_connections": connections,
        "timeout": timeout_seconds,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(ExponentialBackoff(cap=0.1, base=0.02), retries),
    }
    if is_sentinel(url):
        return redis.Redis.from_pool(_sentinel_pool(url, BlockingSentinelPool, options))
    return redis.Redis.from_pool(redis.BlockingConnectionPool.from_url(url, **options))


def pool(url: str, **options: Any) -> redis.ConnectionPool:
    """Return a pool for REDIS_URL, of any kind. `options` are those of redis-py's connections."""
    if is_sentinel(url):
        return _sentinel_pool(url, SentinelConnectionPool, options)
    return redis.ConnectionPool.from_url(url, **options)


def is_sentinel(url: str) -> bool:
    """Return whether the URL names Sentinels."""
    return urlsplit(url).scheme in SCHEMES


def _sentinel_pool(url: str, kind: type[SentinelConnectionPool], options: dict[str, Any]) -> SentinelConnectionPool:
    address = SentinelAddress.parse(url)
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels,
        sentinel_kwargs={
            **address.sentinels_options,
            **{name: value for name, value in options.items() if name.startswith("socket_")},
            "retry": Retry(NoBackoff(), 0),  # the next Sentinel is asked instead
        },
    )
    return kind(address.master, sentinels, **address.servers_options, **options)
