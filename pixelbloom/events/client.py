"""Redis clients that never wait for long."""

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


def connect(url: str, *, timeout_seconds: float = 2.0, connections: int = 64) -> redis.Redis:
    """Return a client for `redis://`, `rediss://` or `unix:///path?db=0` that returns or raises within seconds.

    A command is sent at most twice: once more when a connection broke while idle. By default redis-py
    sends it up to eleven times, even an EVAL. Commands must be safe to repeat.
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
