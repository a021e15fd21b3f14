"""Refreshes the roles of the users of open sockets: one thread per process, one query for all of them."""

import threading
import time
from collections.abc import Set
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import structlog

from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.errors import PixelBloomError

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """An open socket or event stream."""

    principal: Principal

    def set_profile_role(self, admin: bool) -> None:
        """Apply the role that `user_profiles` has now."""


def with_role(caller: Principal, admin: bool) -> Principal | None:
    """Return the caller with the role that `user_profiles` has, or None if nothing changes.

    An administrator role claimed by the token itself is not changed.
    """
    unchanged = caller.admin == admin or caller.own_only or (caller.admin and not caller.admin_by_profile)
    return None if unchanged or caller.kind != "user" else replace(caller, admin=admin, admin_by_profile=admin)


class RoleRefresher:
    """Applies the roles in `user_profiles` to open connections, every `roles.period` seconds.

    While the database is unreachable, roles do not change.
    """

    def __init__(self, connections: Set[Follower], roles: Roles) -> None:
        self._connections = connections
        self._roles = roles
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs. It ends when no connection is left."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="role-refresh", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._connections:
            time.sleep(self._roles.period)
            try:
                self._refresh()
            except PixelBloomError as error:
                log.warning("role_refresh_failed", reason=type(error).__name__)
            except Exception:
                log.exception("role_refresh_failed")
        self._thread = None

    def _refresh(self) -> None:
        users: dict[UUID, list[Follower]] = {}
        for connection in list(self._connections):
            user_id = connection.principal.user_id
            if user_id is not None:
                users.setdefault(user_id, []).append(connection)
        admins = self._roles.refresh(users)
        for user_id, connections in users.items():
            for connection in connections:
                connection.set_profile_role(user_id in admins)
