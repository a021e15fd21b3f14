"""Executing steps."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from celery.exceptions import Ignore
from celery.signals import before_task_publish
from celery.worker.control import control_command

from pixelbloom.celery_app import app
from pixelbloom.runs.planner import PUBLISHED_AT, STEP_TASK
from pixelbloom.tasks.container import services

#: After these, the chain of a linear stretch goes on to its next step.
GO_ON = frozenset({"completed", "skipped", "done"})


class StepFailed(Exception):
    """The step has failed for good; its run tells why. Flower shows it."""


@app.task(name=STEP_TASK, throws=(StepFailed,))
def run_step(run_id: str, key: str) -> str:
    """Execute one step of a run, if it is still to be done.

    A message for a step that another worker holds, or that is not ready, goes no further.
    """
    with structlog.contextvars.bound_contextvars(run_id=run_id, step=key):
        outcome = services().executor.run(UUID(run_id), key)
    if outcome in ("failed", "continued"):
        raise StepFailed(f"step {key} of run {run_id}")
    if outcome not in GO_ON:
        raise Ignore
    return outcome


@before_task_publish.connect(sender=STEP_TASK)
def stamp(headers: dict[str, Any], **_: Any) -> None:
    """The messages that a chain sends for its next step say when, as those of the dispatcher do."""
    headers.setdefault(PUBLISHED_AT, datetime.now(UTC).isoformat())


@control_command(args=[("run_id", str)], signature="<run_id>")
def stop_run(_state: Any, run_id: str) -> dict[str, int]:
    """Stop the steps of a cancelled run that this process has in hand."""
    return {"stopped": services().leases.cancel(UUID(run_id))}
