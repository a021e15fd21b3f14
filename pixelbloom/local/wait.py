"""Waits for a server to be ready, unless it died."""

import time
from collections.abc import Callable

from pixelbloom.errors import StackError
from pixelbloom.local.child import Child

STEP_SECONDS = 0.05

Pause = Callable[[float], object]


def until(ready: Callable[[], bool], child: Child, *, seconds: float, pause: Pause = time.sleep) -> None:
    """Wait until `ready` returns true. Raises StackError with the child's last output if it ends or is too slow."""
    deadline = time.monotonic() + seconds
    while not ready():
        code = child.exit_code()
        if code is not None:
            raise StackError(f"{child.name} ended at its start (exit code {code}):\n{child.last_words()}")
        if time.monotonic() > deadline:
            raise StackError(f"{child.name} is not ready after {seconds:.0f} s:\n{child.last_words()}")
        pause(STEP_SECONDS)
