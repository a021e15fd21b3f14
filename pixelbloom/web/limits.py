"""How much one caller may submit, counted in Redis so that all web processes count together."""

import time

import redis
import structlog
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited

log = structlog.get_logger(__name__)


class SubmissionLimit:
    """RUN_RATE_LIMIT a user. Services are not counted: they act for many."""

    def __init__(self, limit: str | None, client: redis.Redis) -> None:
        self._limit: RateLimitItem | None = parse(limit) if limit else None
        self._client = client
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    def count(self, caller: Principal) -> None:
        """Count one submission. Raises RateLimited. While Redis is away nobody is refused."""
        if self._limit is None or caller.kind == "service":
            return
        try:
            limiter = self._connected()
            if limiter.hit(self._limit, caller.caller):
                return
            reset = limiter.get_window_stats(self._limit, caller.caller).reset_time
        except redis.RedisError as error:
            log.warning("rate_not_counted", reason=type(error).__name__)
            return
        raise RateLimited(
            f"You may submit {self._limit}; try again after the seconds in Retry-After.", reset - time.time()
        )

    def _connected(self) -> SlidingWindowCounterRateLimiter:
        if self._limiter is None:
            storage = RedisStorage("redis://", connection_pool=self._client.connection_pool, key_prefix="pb:limit")
            self._limiter = SlidingWindowCounterRateLimiter(storage)
        return self._limiter
