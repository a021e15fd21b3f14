"""The states and the priorities of runs."""

from enum import StrEnum

from pixelbloom.core.queues import AGENTS


class RunStatus(StrEnum):
    """The state of a run. The last three are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


class Priority(StrEnum):
    """Which runs start first: those that a person waits for, then the others."""

    INTERACTIVE = "interactive"
    BATCH = "batch"

    @property
    def number(self) -> int:
        """The value that the database orders by, larger first."""
        return 0 if self is Priority.INTERACTIVE else -1

    @classmethod
    def of(cls, number: int) -> "Priority":
        return cls.INTERACTIVE if number >= 0 else cls.BATCH


#: The same for the broker: kombu's Redis transport takes 0 first.
BROKER_PRIORITY = {Priority.INTERACTIVE: 0, Priority.BATCH: 5}
#: kombu's separator between a queue's name and a priority.
PRIORITY_SEPARATOR = "\x06\x16"


def broker_list(priority: Priority) -> str:
    """Return the Redis list in which kombu stores the messages of steps of a priority."""
    number = BROKER_PRIORITY[priority]
    return f"{AGENTS}{PRIORITY_SEPARATOR}{number}" if number else AGENTS
