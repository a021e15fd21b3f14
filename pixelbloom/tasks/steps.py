"""Executing steps."""

from uuid import UUID

import structlog
from celery.exceptions import Ignore

from pixelbloom.queue import app
from pixelbloom.runs.dispatch import STEP_TASK
from pixelbloom.tasks.services import services


@app.task(name=STEP_TASK)
def run_step(run_id: str, key: str) -> str:
    """Execute one step of a run, if it is still to be done.

    A message for a step that another worker holds, or that is not ready, goes no further.
    """
    with structlog.contextvars.bound_contextvars(run_id=run_id, step=key):
        outcome = services().executor.run(UUID(run_id), key)
    if outcome in ("leased", "not_ready", "gone", "stale"):
        raise Ignore
    return outcome
