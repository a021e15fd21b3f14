"""How a run goes through Celery: the rows of its steps, and the canvas of what is ready.

A stretch is a path of agent steps, each the only one that the next one needs and is needed by. It travels as one chain
of messages; forks and joins are decided in Postgres, which says what became ready. New runs, recovery, retries and
decisions all publish through `canvas`.
"""

from collections.abc import Mapping
from typing import Any

from celery import Celery, Signature, chain

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent
from pixelbloom.runs.run import BROKER_PRIORITY, Priority
from pixelbloom.runs.workflows.definition import ApprovalStep, Definition, MapStep, Step
from pixelbloom.runs.workflows.expressions import uses
from pixelbloom.runs.workflows.graph import order, successors

STEP_TASK = "pixelbloom.run_step"
AGENTS_QUEUE = "agents"
#: The header that tells when a message's step was published.
PUBLISHED_AT = "published_at"


def agent_step(agent: Agent[Any, Any], input: Mapping[str, Any], model_timeout: float) -> dict[str, Any]:
    """The one step of an agent's run."""
    return {
        "key": agent.agent_type,
        "agent_type": agent.agent_type,
        "input": input,
        "timeout_seconds": agent.deadline(model_timeout),
    }


def workflow_steps(definition: Definition, model_timeout: float) -> list[dict[str, Any]]:
    """The steps of a workflow's run, so ordered that each stands after those that it needs."""
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
        "max_attempts": step.retry.attempts,
        "backoff_seconds": step.retry.backoff,
        "timeout_seconds": step.timeout or agent.deadline(model_timeout),
    }
    return row | {"max_parallel": step.max_parallel} if isinstance(step, MapStep) else row


def canvas(app: Celery, publication: Mapping[str, Any]) -> Signature:
    """The messages of a published step and of the stretch after it, as the database told them."""
    priority = Priority.of(publication["priority"])
    first = _message(app, publication["run_id"], publication["key"], priority)
    # The successors' header is set when they are sent, by the task before them.
    first.set(headers={PUBLISHED_AT: publication["published_at"]})
    rest = [_message(app, publication["run_id"], key, priority) for key in publication["chain"]]
    return chain(first, *rest, app=app) if rest else first


def _message(app: Celery, run_id: str, key: str, priority: Priority) -> Signature:
    return app.signature(
        STEP_TASK,
        args=(run_id, key),
        immutable=True,
        queue=AGENTS_QUEUE,
        priority=BROKER_PRIORITY[priority],
        argsrepr=f"(run {run_id}, step {key})",
        ignore_result=True,
    )
