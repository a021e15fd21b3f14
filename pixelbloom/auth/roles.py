"""Who is an administrator: by the token, else by `user_profiles`, remembered for a short while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Unavailable

#: Seconds for which an answer of `user_profiles` holds.
REMEMBER_SECONDS = 30.0
MAX_REMEMBERED = 10_000


class Roles:
    """Answers what a caller may see. `is_admin` asks the database and may raise Unavailable."""

    def __init__(self, is_admin: Callable[[UUID], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = is_admin
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def is_admin(self, principal: Principal) -> bool:
        """Whether the caller is an administrator, or a service. Raises Unavailable."""
        if principal.admin or principal.kind == "service":
            return True
        return principal.user_id is not None and self._profile_says(principal.user_id)

    def may_read(self, principal: Principal, owner: UUID | None) -> bool:
        """Whether the caller may see what belongs to `owner`. The database is asked only about strangers."""
        return principal.may_read(owner) or self.is_admin(principal)

    def resolve(self, principal: Principal) -> Principal:
        """The caller with what `user_profiles` adds. While the database is away, the token's word alone counts."""
        try:
            return replace(principal, admin=True) if self.is_admin(principal) else principal
        except Unavailable:
            return principal

    def _profile_says(self, user_id: UUID) -> bool:
        now = self._clock()
        with self._lock:
            known = self._known.get(user_id)
            if known is not None and now < known[1]:
                return known[0]
        admin = self._ask(user_id)
        with self._lock:
            self._known[user_id] = (admin, now + REMEMBER_SECONDS)
            self._known.move_to_end(user_id)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return admin
