"""The rows of a workflow run's steps."""

from typing import Any

from pixelbloom.agents import registry
from pixelbloom.workflows.definition import ApprovalStep, Definition, MapStep, Step
from pixelbloom.workflows.expressions import uses
from pixelbloom.workflows.graph import order, successors


def workflow_steps(definition: Definition, model_timeout: float) -> list[dict[str, Any]]:
    """Return the steps of a workflow's run in topological order."""
    following = successors(definition)
    return [_workflow_step(step, following.get(step.key), model_timeout) for step in order(definition.steps)]


def _workflow_step(step: Step, next_key: str | None, model_timeout: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": step.key,
        "kind": step.kind,
        "needs": list(step.needs),
        "uses": sorted(uses(step)),
        "next_key": next_key,
        "on_error": step.on_error,
        "spec": step.model_dump(mode="json", exclude_none=True),
        "input": {},
    }
    if isinstance(step, ApprovalStep):
        return row | {"timeout_seconds": step.timeout}
    agent = registry.get(step.agent)
    row |= {
        "agent_type": agent.agent_type,
        "writes": agent.writes,
        "max_attempts": step.retry.attempts,
        "backoff_seconds": step.retry.backoff,
        "timeout_seconds": step.timeout or agent.deadline(model_timeout),
    }
    return row | {"max_parallel": step.max_parallel} if isinstance(step, MapStep) else row
