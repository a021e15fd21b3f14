"""Claiming purchases made without an account, for the account that later has that address verified."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import PixelBloomError

log = structlog.get_logger(__name__)

MAX_REMEMBERED = 10_000
#: Seconds until a failed claim is tried again.
RETRY_SECONDS = 30.0


class Claims:
    """Claims once for each user token that this process sees; `claim` returns the number of purchases.

    The database decides by the account's verified address (`claim_purchases`), never by the token's.
    """

    def __init__(
        self,
        claim: Callable[[UUID], int],
        publish: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claim = claim
        self._publish = publish
        self._clock = clock
        #: When to claim again for a token; None for never.
        self._seen: OrderedDict[tuple[UUID, datetime], float | None] = OrderedDict()
        self._lock = threading.Lock()

    def observe(self, caller: Principal) -> None:
        """Claim for a caller with a new token. An error is logged, and does not reach the caller."""
        if caller.user_id is None or caller.anonymous:
            return
        key, now = (caller.user_id, caller.expires_at), self._clock()
        with self._lock:
            again = self._seen.get(key, now)
            if again is None or again > now:
                return
            self._remember(key, now + RETRY_SECONDS)
        try:
            self.claim(caller.user_id)
        except PixelBloomError as error:
            log.warning("purchases_not_claimed", user_id=str(caller.user_id), reason=type(error).__name__)
            return
        with self._lock:
            self._remember(key, None)

    def claim(self, user_id: UUID) -> int:
        """Claim now, and return the number of purchases. Raises Unavailable."""
        claimed = self._claim(user_id)
        if claimed:
            log.info("purchases_claimed", user_id=str(user_id), purchases=claimed)
            self._publish()
        return claimed

    def _remember(self, key: tuple[UUID, datetime], again: float | None) -> None:
        self._seen[key] = again
        self._seen.move_to_end(key)
        while len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
