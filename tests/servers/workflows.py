"""Runs of workflows for tests of events: their database states, and their workers' streams."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from pixelbloom.events.topics import run_topic
from pixelbloom.events.types import GENERATIONS, TERMINAL, RunDelta, RunUpdate


def as_steps(statuses: Mapping[str, str]) -> list[dict[str, str]]:
    """Steps as events have them."""
    return [{"key": key, "status": status} for key, status in statuses.items()]


class SomeWorkflow:
    """A run with steps that a test claims and ends; each change of it is a revision."""

    def __init__(self, *steps: str, user_id: UUID | None = None) -> None:
        self.id = uuid4()
        self.user_id = user_id
        self.rev = 0
        self.status = "queued"
        self.progress = 0.0
        self.steps = dict.fromkeys(steps, "pending")
        self.attempts: Counter[str] = Counter()
        #: Every state there was.
        self.states: list[RunUpdate] = []
        self.change()

    @property
    def topic(self) -> str:
        return run_topic(self.id)

    @property
    def now(self) -> RunUpdate:
        return self.states[-1]

    def change(self, status: str | None = None, *, progress: float | None = None, **steps: str) -> RunUpdate:
        """Commit the next revision. Returns the state to publish."""
        self.rev += 1
        self.status = status or self.status
        self.progress = self.progress if progress is None else progress
        self.steps |= steps
        fixed: dict[str, Any] = {"kind": "workflow", "workflow_id": "campaign", "updated_at": "2025-01-01T00:00:00Z"}
        self.states.append(
            RunUpdate(
                run_id=self.id,
                user_id=self.user_id,
                rev=self.rev,
                status=self.status,
                step=next(iter(steps), None),
                progress=self.progress,
                steps=as_steps(self.steps),
                **fixed,
            )
        )
        return self.now

    def claim(self, step: str) -> "Attempt":
        """The step's next attempt begins."""
        self.attempts[step] += 1
        return Attempt(self.change("running", **{step: "running"}), step, self.attempts[step])

    def end(self, step: str, status: str = "completed", **more: Any) -> RunUpdate:
        """A step's attempt ends; `pending` is one that will be repeated."""
        return self.change(**more, **{step: status})

    @property
    def over(self) -> bool:
        return self.status in TERMINAL


class Attempt:
    """One claim of a step, and its worker's stream."""

    def __init__(self, update: RunUpdate, step: str, number: int) -> None:
        self.update = update
        self.step = step
        self.number = number
        self._generation = number * GENERATIONS
        self._offset = 0

    def text(self, text: str, progress: float = 0.1) -> RunDelta:
        """Return the next text. A text that is not published is lost."""
        offset, self._offset = self._offset, self._offset + len(text)
        return RunDelta(self.update.run_id, self._generation, offset, text, self.step, progress, rev=self.update.rev)

    def restart(self) -> "Attempt":
        """Another provider restarts the reply."""
        self._generation += 1
        self._offset = 0
        return self

    def goes_on_from(self, delta: RunDelta) -> bool:
        """Return whether that is the last text so far."""
        return (delta.generation, delta.offset + len(delta.text)) == (self._generation, self._offset)

    @property
    def place(self) -> tuple[int, int]:
        """Return the generation and the offset of the next text."""
        attempt, restarts = divmod(self._generation, GENERATIONS)
        return attempt * 8 + restarts, self._offset
