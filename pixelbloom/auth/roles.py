"""Resolves administrators by the token, else by `user_profiles`, with a short cache."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from uuid import UUID

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import Unavailable

#: Seconds after which a change of `user_profiles` has taken effect everywhere.
ROLE_SECONDS = 30.0
MAX_REMEMBERED = 10_000
#: Users per query.
BATCH = 1_000


class Roles:
    """Resolves callers' roles. `admins_among` queries the database and may raise Unavailable.

    A role is cached for half of `seconds`, and open sockets refresh their roles as often: a socket opened with a cached
    role has the current one `seconds` after a change.
    """

    def __init__(
        self,
        admins_among: Callable[[Collection[UUID]], set[UUID]],
        *,
        seconds: float = ROLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admins_among = admins_among
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()
        #: How long a role is cached, in seconds.
        self.period = seconds / 2

    def is_admin(self, principal: Principal) -> bool:
        """Return whether the caller is an administrator or a service. Raises Unavailable."""
        if principal.sees_all:
            return True
        return principal.user_id is not None and not principal.own_only and self._is_admin_by_profile(principal.user_id)

    def resolve(self, principal: Principal) -> Principal:
        """Return the caller with the role in `user_profiles`, or by the token alone if the database is unreachable."""
        try:
            by_profile = not principal.admin and self.is_admin(principal)
        except Unavailable:
            return principal
        return replace(principal, admin=True, admin_by_profile=principal.kind == "user") if by_profile else principal

    def refresh(self, user_ids: Collection[UUID]) -> set[UUID]:
        """Reload these users, many per query, and return the administrators. Raises Unavailable."""
        admins: set[UUID] = set()
        users = list(user_ids)
        for start in range(0, len(users), BATCH):
            batch = users[start : start + BATCH]
            now = self._clock()
            found = self._admins_among(batch)
            admins |= found
            for user_id in batch:
                self._remember(user_id, user_id in found, now)
        return admins

    def _is_admin_by_profile(self, user_id: UUID) -> bool:
        now = self._clock()
        with self._lock:
            known = self._known.get(user_id)
            if known is not None and now < known[1]:
                return known[0]
        return user_id in self.refresh([user_id])

    def _remember(self, user_id: UUID, admin: bool, now: float) -> None:
        with self._lock:
            self._known[user_id] = (admin, now + self.period)
            self._known.move_to_end(user_id)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
