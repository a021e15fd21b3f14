"""Identifies a process: a pid alone may be reused."""

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Identity:
    """A process by its pid and the moment it started. `started` is only compared, never read as a time."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Return the process with this pid; None if there is none, or only a zombie."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return cls(pid, _started(process))
        except (psutil.NoSuchProcess, OSError):
            return None

    def alive(self) -> bool:
        return Identity.of(self.pid) == self


def _started(process: psutil.Process) -> str:
    if sys.platform == "linux":
        # Ticks since boot: a wall clock that is set does not move them. Field 22; the name before may hold spaces.
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{ticks}"
    return repr(process.create_time())
