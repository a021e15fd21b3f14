"""Executes steps."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from celery.exceptions import Ignore
from celery.signals import before_task_publish
from celery.worker.control import control_command

from pixelbloom.celery_app import app
from pixelbloom.runs.dispatcher import PUBLISHED_AT, STEP_TASK
from pixelbloom.tasks.container import services
from pixelbloom.telemetry import tracing

#: After these outcomes, the chain continues with its next step.
GO_ON = frozenset({"completed", "skipped", "done"})


class StepFailed(Exception):
    """The step has failed permanently; its run has the reason. Flower shows this error."""


@app.task(name=STEP_TASK, throws=(StepFailed,))
def run_step(run_id: str, key: str) -> str:
    """Execute one step of a run if it is still pending.

    A message for a step that another worker holds, or that is not ready, ends its chain.
    """
    tracing.annotate(run_id=run_id, step=key)
    with structlog.contextvars.bound_contextvars(run_id=run_id, step=key):
        outcome = services().executor.run(UUID(run_id), key)
    if outcome in ("failed", "continued"):
        raise StepFailed(f"step {key} of run {run_id}")
    if outcome not in GO_ON:
        raise Ignore
    return outcome


@before_task_publish.connect(sender=STEP_TASK)
def stamp(headers: dict[str, Any], **_: Any) -> None:
    """Set the publication time in messages that a chain sends, as the dispatcher does in its own."""
    headers.setdefault(PUBLISHED_AT, datetime.now(UTC).isoformat())


@control_command(args=[("run_id", str)], signature="<run_id>")
def stop_run(_state: Any, run_id: str) -> dict[str, int]:
    """Stop this process's steps of a cancelled run."""
    return {"stopped": services().leases.cancel(UUID(run_id))}
