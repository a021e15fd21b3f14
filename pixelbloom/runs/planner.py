"""Plans a run in Celery: the rows of its steps, and the canvas of those that are ready.

A linear segment, which workflows/graph.py decides, is sent as one chain of messages; forks and joins are decided in
Postgres, which returns the steps that became ready. New runs, recovery, retries and decisions all publish through
`canvas`.
"""

from collections.abc import Mapping
from typing import Any

from celery import Celery, Signature, chain

from pixelbloom.agents.base import Agent
from pixelbloom.core.queues import AGENTS
from pixelbloom.runs.status import BROKER_PRIORITY, Priority

STEP_TASK = "pixelbloom.run_step"
#: The header with the time at which a message's step was published.
PUBLISHED_AT = "published_at"


def agent_step(agent: Agent[Any, Any], input: Mapping[str, Any], model_timeout: float) -> dict[str, Any]:
    """Return the row of an agent run's single step."""
    return {
        "key": agent.agent_type,
        "agent_type": agent.agent_type,
        "writes": agent.writes,
        "input": input,
        "timeout_seconds": agent.deadline(model_timeout),
    }


def canvas(app: Celery, publication: Mapping[str, Any]) -> Signature:
    """Return the messages of a published step and of the linear segment after it, as the database returned them."""
    priority = Priority.of(publication["priority"])
    first = _message(app, publication["run_id"], publication["key"], priority)
    # The preceding task sets the successors' header when it sends them.
    first.set(headers={PUBLISHED_AT: publication["published_at"]})
    rest = [_message(app, publication["run_id"], key, priority) for key in publication["chain"]]
    return chain(first, *rest, app=app) if rest else first


def _message(app: Celery, run_id: str, key: str, priority: Priority) -> Signature:
    return app.signature(
        STEP_TASK,
        args=(run_id, key),
        immutable=True,
        queue=AGENTS,
        priority=BROKER_PRIORITY[priority],
        argsrepr=f"(run {run_id}, step {key})",
        ignore_result=True,
    )
