"""Fair order of work where many users wait for a few workers."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def fair_order(waiting: Iterable[T], owner: Callable[[T], K], served: Mapping[K, float], most: int) -> list[T]:
    """Choose at most `most` items, one per owner in turn. The owners served longest ago come first."""
    queues: dict[K, deque[T]] = {}
    for one in waiting:
        queues.setdefault(owner(one), deque()).append(one)
    turns = deque(sorted(queues, key=lambda name: served.get(name, 0.0)))
    chosen: list[T] = []
    while turns and len(chosen) < most:
        name = turns.popleft()
        chosen.append(queues[name].popleft())
        if queues[name]:
            turns.append(name)
    return chosen
