"""The graph of a workflow's steps: its order, its cycles, and its linear segments."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from pixelbloom.workflows.definition import Definition, Step


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
