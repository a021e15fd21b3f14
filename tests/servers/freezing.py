"""Suspends processes, as a machine does that hangs."""

import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.waiting import until


def freeze(processes: Iterable[psutil.Process]) -> None:
    """Suspend these processes, and wait until no thread of them runs: on a busy machine a signal acts late."""
    frozen = list(processes)
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    until(lambda: all(map(_stopped, frozen)), saw=lambda: [process.as_dict(["pid", "status"]) for process in frozen])


def thaw(processes: Iterable[psutil.Process]) -> None:
    """Let them continue; those that have ended are left out."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def _stopped(process: psutil.Process) -> bool:
    """Return whether the process is stopped with all its threads, where the system shows threads, or has ended."""
    try:
        if process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            return False
        threads = Path(f"/proc/{process.pid}/task").glob("*/stat")
        return all(thread.read_text().rpartition(")")[2].split()[0] in "TZX" for thread in threads)
    except (psutil.NoSuchProcess, OSError):
        return True
