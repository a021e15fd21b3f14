"""How much one caller may do, counted in Redis so that all web processes count together."""

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
    """So many of one thing in a while, for each name. Of several rates each holds; None means no limit.

    `things` says in messages what is counted, and parts its counts from others'. While Redis is away nobody is refused,
    unless `strict`: then everybody is.
    """

    def __init__(self, rate: str | None, client: redis.Redis, things: str, *, strict: bool = False) -> None:
        self._rates = parse_many(rate) if rate else []
        self._client = client
        self._things = things
        self._strict = strict
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    def count(self, name: str, number: int = 1) -> None:
        """Count so many of them. Raises RateLimited; where it is strict, Unavailable too."""
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
                raise Unavailable("The rate cannot be counted now; try again shortly.") from error

    def _connected(self) -> SlidingWindowCounterRateLimiter:
        if self._limiter is None:
            storage = RedisStorage("redis://", connection_pool=self._client.connection_pool, key_prefix="pb:limit")
            self._limiter = SlidingWindowCounterRateLimiter(storage)
        return self._limiter


class SubmissionLimit:
    """RUN_RATE_LIMIT a user, and `anonymous` an anonymous one. Services are not counted: they act for many."""

    def __init__(self, rate: str | None, client: redis.Redis, *, anonymous: str | None = None) -> None:
        self._limit = RateLimit(rate, client, "runs")
        self._anonymous = RateLimit(anonymous, client, "runs of anonymous users", strict=True)

    def count(self, caller: Principal, number: int = 1) -> None:
        """Count so many submissions. Raises RateLimited, and Unavailable for an anonymous user nobody can count."""
        if caller.anonymous:
            self._anonymous.count(caller.caller, number)
        if caller.kind != "service":
            self._limit.count(caller.caller, number)


class VisitorLimits:
    """What visitors and anonymous users may do: nothing while nobody can count."""

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
