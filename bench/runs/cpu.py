"""The CPU of process trees, by kind, and stopping and continuing them."""

import contextlib
import signal
from collections.abc import Iterable, Mapping

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants; an empty list if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def seconds(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants used, those that ended included."""
    used = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def by_kind(pids: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """Return the CPU seconds of each kind of process so far."""
    return {kind: sum(seconds(pid) for pid in of_kind) for kind, of_kind in pids.items()}


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds of each kind between two readings."""
    return {kind: after[kind] - before.get(kind, 0.0) for kind in after}


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to the processes and their descendants."""
    for pid in pids:
        for process in tree(pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
