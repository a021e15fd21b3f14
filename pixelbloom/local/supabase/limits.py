"""How often one address may sign in, refresh, or make users: hosted Supabase's defaults."""

import time
from dataclasses import dataclass

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from pixelbloom.local.supabase.errors import AuthError


@dataclass(frozen=True)
class Rates:
    """The limits of one address."""

    sign_in: str = "30/5 minutes"
    refresh: str = "150/5 minutes"
    anonymous: str = "30/hour"


class TooMany(AuthError):
    """A rate was exceeded. `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(429, "over_request_rate_limit", "Request rate limit reached")
        self.retry_after = max(1, round(retry_after))


class Limits:
    """Counts in this process: the gateway is one."""

    def __init__(self, rates: Rates) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rates = {name: parse(getattr(rates, name)) for name in ("sign_in", "refresh", "anonymous")}

    def count(self, name: str, address: str) -> None:
        """Count one of `name`, a field of Rates. Raises TooMany."""
        rate = self._rates[name]
        if not self._limiter.hit(rate, name, address):
            raise TooMany(self._limiter.get_window_stats(rate, name, address).reset_time - time.time())
