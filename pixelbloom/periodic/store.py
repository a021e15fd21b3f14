"""Stores when each periodic task is due, and when it last finished."""

from collections.abc import Mapping
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

    def finish(self, tasks: Mapping[str, datetime | None]) -> None:
        """Record that tasks finished now, and when each is due next; None for a task without due times."""
        next_due = {name: due.isoformat() if due else None for name, due in tasks.items()}
        self._gateway.rpc("finish_periodic_tasks", {"p_tasks": next_due})

    def ages(self) -> dict[str, float]:
        """Return by name the seconds since each periodic task last finished. Tasks that never did are absent."""
        ages: dict[str, float] = self._gateway.rpc("periodic_task_ages", {})
        return ages
