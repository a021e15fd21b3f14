"""States of runs for tests of events and sockets."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pixelbloom.events.topics import run_topic
from pixelbloom.events.types import RunDelta, RunUpdate


class SomeRun:
    """A run with states that a test publishes one after the other."""

    def __init__(self, user_id: UUID | None = None, **fixed: Any) -> None:
        self.id = uuid4()
        self.user_id = user_id
        self.rev = 0
        self._offsets: dict[int, int] = {}
        self._fixed = fixed

    @property
    def topic(self) -> str:
        return run_topic(self.id)

    def state(self, status: str, progress: float = 0.0, *, rev: int | None = None, **more: Any) -> RunUpdate:
        """Return the next state; with `rev` an earlier or out-of-order one."""
        if rev is None:
            self.rev += 1
        return RunUpdate(
            run_id=self.id,
            kind=self._fixed.get("kind", "agent"),
            workflow_id="lead_agent",
            user_id=self.user_id,
            rev=self.rev if rev is None else rev,
            status=status,
            step="lead_agent",
            progress=progress,
            updated_at="2025-01-01T00:00:00Z",
            **more,
        )

    def text(self, text: str, *, generation: int = 1000, progress: float = 0.1) -> RunDelta:
        """The next text of a generation."""
        offset = self._offsets.get(generation, 0)
        self._offsets[generation] = offset + len(text)
        return RunDelta(self.id, generation, offset, text, "lead_agent", progress)

    def store(self, folder: Path, update: RunUpdate) -> RunUpdate:
        """Write the state where `tests.servers.sockets` has its database."""
        payload = {
            **update.__dict__,
            "run_id": str(update.run_id),
            "user_id": str(update.user_id) if update.user_id else None,
        }
        path = folder / str(self.id)
        path.with_suffix(".new").write_text(json.dumps(payload))
        path.with_suffix(".new").rename(path)
        return update
