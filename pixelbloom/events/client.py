"""Redis clients that never wait for long."""

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


def connect(url: str, *, timeout_seconds: float = 2.0, connections: int = 64) -> redis.Redis:
    """A client for `redis://`, `rediss://` or `unix:///path?db=0` that answers or raises within seconds.

    A command is sent at most twice: once more for a connection that broke while it was idle. redis-py by
    itself would send it up to eleven times, an EVAL too. What is sent must be safe to repeat.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.02), 1),
    )
    return redis.Redis.from_pool(pool)
