"""Stores when each infrequent task is due, and finds what is due of all that beat sends."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pixelbloom.database.gateway import Gateway


class PeriodicTaskStore:
    """Periodic tasks in Postgres. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def begin(self, tasks: Mapping[str, tuple[datetime, float]]) -> list[str]:
        """Start the due tasks and return their names; each is started by one caller.

        `tasks` maps each name to when the task is first due, and after how many seconds it is due again if it did not
        finish.
        """
        begun: list[str] = self._gateway.rpc(
            "begin_periodic_tasks",
            {
                "p_tasks": {
                    name: {"first_at": first.isoformat(), "lease_seconds": lease}
                    for name, (first, lease) in tasks.items()
                }
            },
        )
        return begun

    def finish(self, tasks: Mapping[str, datetime]) -> None:
        """Record that tasks finished now, and when each is due next."""
        self._gateway.rpc("finish_periodic_tasks", {"p_tasks": {name: due.isoformat() for name, due in tasks.items()}})

    def look(self, infrequent: Sequence[str], *, listener: str | None, listening: bool) -> dict[str, float]:
        """Return in how many seconds each of beat's tasks is due, 0 for now; those without work are absent.

        `infrequent` names the tasks of jobs.py. `listener` is sent back as a notification, as a test of the
        caller's connection. If it is `listening`, writers wake it when other work becomes due.
        """
        due: dict[str, float] = self._gateway.rpc(
            "look_for_due", {"p_tasks": list(infrequent), "p_listener": listener, "p_listening": listening}
        )
        return due
