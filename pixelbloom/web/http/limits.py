"""Rate limits of callers, counted in Redis for all web processes together."""

import time

import redis
import structlog
from limits import parse_many
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited, Unavailable

log = structlog.get_logger(__name__)


class RateLimit:
    """A rate limit by name. If there are several rates, each applies; None means no limit.

    `things` names what is counted, in messages and keys. While Redis is unreachable every request is allowed, or with
    `strict` rejected.
    """

    def __init__(self, rate: str | None, client: redis.Redis, things: str, *, strict: bool = False) -> None:
        self._rates = parse_many(rate) if rate else []
        self._client = client
        self._things = things
        self._strict = strict
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    def count(self, name: str, number: int = 1) -> None:
        """Count `number` things. Raises RateLimited, and Unavailable if strict."""
        if number < 1:
            return
        try:
            for rate in self._rates:
                limiter = self._connected()
                if not limiter.hit(rate, self._things, name, cost=number):
                    reset = limiter.get_window_stats(rate, self._things, name).reset_time
                    raise RateLimited(
                        f"You may send {rate} of {self._things}; try again after the seconds in Retry-After.",
                        reset - time.time(),
                    )
        except redis.RedisError as error:
            log.warning("rate_not_counted", things=self._things, reason=type(error).__name__)
            if self._strict:
                raise Unavailable("The rate limit is unavailable; try again shortly.") from error

    def _connected(self) -> SlidingWindowCounterRateLimiter:
        if self._limiter is None:
            storage = RedisStorage("redis://", connection_pool=self._client.connection_pool, key_prefix="pb:limit")
            self._limiter = SlidingWindowCounterRateLimiter(storage)
        return self._limiter


class SubmissionLimit:
    """RUN_RATE_LIMIT per user, and `anonymous` per anonymous user. Services are not counted: they act for many."""

    def __init__(self, rate: str | None, client: redis.Redis, *, anonymous: str | None = None) -> None:
        self._limit = RateLimit(rate, client, "runs")
        self._anonymous = RateLimit(anonymous, client, "runs of anonymous users", strict=True)

    def count(self, caller: Principal, number: int = 1) -> None:
        """Count submissions. Raises RateLimited, and Unavailable if an anonymous user cannot be counted."""
        if caller.anonymous:
            self._anonymous.count(caller.caller, number)
        if caller.kind != "service":
            self._limit.count(caller.caller, number)


class VisitorLimits:
    """Limits of visitors and anonymous users. While Redis is unreachable they are rejected."""

    def __init__(self, sessions: str | None, leads: str | None, messages: str | None, client: redis.Redis) -> None:
        self.sessions = RateLimit(sessions, client, "sessions", strict=True)
        self._leads = RateLimit(leads, client, "leads", strict=True)
        self._messages = RateLimit(messages, client, "messages", strict=True)

    def count_lead(self, caller: Principal) -> None:
        """Count a lead of a visitor or an anonymous user. Raises RateLimited and Unavailable."""
        if caller.kind == "visitor" or caller.anonymous:
            self._leads.count(caller.caller)

    def count_message(self, caller: Principal) -> None:
        """Count a message or a conversation of a visitor or an anonymous user. Raises RateLimited and Unavailable."""
        if caller.kind == "visitor" or caller.anonymous:
            self._messages.count(caller.caller)
