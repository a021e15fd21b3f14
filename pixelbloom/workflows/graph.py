"""The graph of a workflow's steps: its order, its cycles, and its linear stretches."""

from collections.abc import Mapping, Sequence

from pixelbloom.workflows.definition import Definition, Step


def cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The keys of a cycle, the first one again at the end; None where there is none."""
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
    """Each step after those that it needs; otherwise as they stand. For steps without a cycle."""
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
    """For each step all those that end before it begins. For steps without a cycle."""
    found: dict[str, frozenset[str]] = {}
    for step in order(steps):
        found[step.key] = frozenset(step.needs).union(*(found[need] for need in step.needs))
    return found


def edges(definition: Definition) -> list[tuple[str, str]]:
    """From each needed step to the one that needs it."""
    return [(need, step.key) for step in definition.steps for need in step.needs]


def successors(definition: Definition) -> dict[str, str]:
    """The linear stretches: for a step the one after it, where that needs it alone and nothing else needs it.

    Maps and approvals end a stretch: something must happen between them and what follows.
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
