"""PixelBloom's processes as children of the local stack."""

import os
from collections.abc import Mapping
from pathlib import Path

from pixelbloom.core.shipped import CLONE
from pixelbloom.local.child import Command
from pixelbloom.processes import WORKERS, argv

#: These need no database to start: they start beside it.
EARLY = ("web", "flower")
#: In the order of their start.
ROLES = (*EARLY, *WORKERS, "beat")


def metrics_port(role: str, first: int | None) -> str:
    """Return METRICS_PORT of a role of one machine: the workers count up from `first`; empty is none."""
    return "" if first is None or role not in WORKERS else str(first + WORKERS.index(role))


def command(role: str, env: Mapping[str, str], *, flower_port: int = 5555, cwd: Path | None = None) -> Command:
    """Return the command of `web`, a worker, `beat` or `flower`. `env` has its settings by variable name."""
    options: tuple[str, ...] = ()
    own: dict[str, str] = {}
    if role == "flower":
        options = ("--address=127.0.0.1", f"--port={flower_port}")
        # Flower reads FLOWER_* itself: the password from FLOWER_BASIC_AUTH. Without one its API is off.
        own = {"FLOWER_PORT": str(flower_port), "FLOWER_UNAUTHENTICATED_API": "false"}
    # For a clone that is not installed.
    path = os.pathsep.join(filter(None, (str(CLONE), os.environ.get("PYTHONPATH"))))
    return Command(role, argv(role, options), env={**env, **own, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}, cwd=cwd)
