"""The graph of a workflow's steps: its order, its cycles, its linear segments, and the rows of a run's steps."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any

from pixelbloom.agents import registry
from pixelbloom.workflows.definition import ApprovalStep, Definition, MapStep, Step
from pixelbloom.workflows.expressions import uses


def cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return the keys of a cycle, each followed by one that it needs and the first one repeated, or None."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return None


def order(steps: Sequence[Step]) -> list[Step]:
    """Return the steps in topological order, otherwise in their given order. The steps must have no cycle."""
    place = {step.key: number for number, step in enumerate(steps)}
    sorter = TopologicalSorter({place[step.key]: [place[need] for need in step.needs] for step in steps})
    sorter.prepare()
    ordered: list[Step] = []
    ready: list[int] = []
    while sorter.is_active():
        for number in sorter.get_ready():
            heappush(ready, number)
        first = heappop(ready)
        sorter.done(first)
        ordered.append(steps[first])
    return ordered


def before(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Return for each step all steps that end before it starts. The steps must have no cycle."""
    found: dict[str, frozenset[str]] = {}
    for step in order(steps):
        found[step.key] = frozenset(step.needs).union(*(found[need] for need in step.needs))
    return found


def edges(definition: Definition) -> list[tuple[str, str]]:
    """Return the edges from each needed step to the one that needs it."""
    return [(need, step.key) for step in definition.steps for need in step.needs]


def successors(definition: Definition) -> dict[str, str]:
    """Return the linear segments: each step's only successor, if that successor needs no other step.

    Here it is decided what becomes a Celery chain; the database stores it as `next_key` and only follows it. Maps and
    approvals end a segment: they do not complete with their own message.
    """
    by_key = {step.key: step for step in definition.steps}
    needed_by: dict[str, list[str]] = {}
    for start, end in edges(definition):
        needed_by.setdefault(start, []).append(end)
    return {
        key: after[0]
        for key, after in needed_by.items()
        if len(after) == 1 and len(by_key[after[0]].needs) == 1 and by_key[key].kind == by_key[after[0]].kind == "agent"
    }


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
