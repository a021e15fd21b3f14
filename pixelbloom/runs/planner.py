"""How a run goes through Celery: the rows of its steps, and the canvas of what is ready.

A stretch is a path of agent steps, each the only one that the next one needs and is needed by. It travels as one chain
of messages; forks and joins are decided in Postgres, which says what became ready. New runs, recovery, retries and
decisions all publish through `canvas`.
"""

from collections.abc import Mapping
from typing import Any

from celery import Celery, Signature, chain

from pixelbloom.agents.base import Agent
from pixelbloom.runs.model import BROKER_PRIORITY, Priority

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
