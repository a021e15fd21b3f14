"""The graph of a workflow's steps: its order, its cycles, and its linear segments."""

from collections.abc import Mapping, Sequence

from pixelbloom.workflows.definition import Definition, Step


def cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return the keys of a cycle, with the first one repeated at the end, or None."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        waiting: list[tuple[str, bool]] = [(start, False)]
        while waiting:
            key, leaving = waiting.pop()
            if leaving:
                path.pop()
                done.add(key)
            elif key in path:
                return [*path[path.index(key) :], key]
            elif key not in done:
                path.append(key)
                waiting.append((key, True))
                waiting.extend((need, False) for need in needs.get(key, ()))
    return None


def order(steps: Sequence[Step]) -> list[Step]:
    """Return the steps in topological order, otherwise in their given order. The steps must have no cycle."""
    placed: set[str] = set()
    ordered: list[Step] = []
    waiting = list(steps)
    while waiting:
        ready = next(step for step in waiting if placed.issuperset(step.needs))
        waiting.remove(ready)
        placed.add(ready.key)
        ordered.append(ready)
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

    Maps and approvals end a segment: they do not complete with their own message.
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
