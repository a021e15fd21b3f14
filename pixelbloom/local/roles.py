"""The commands of PixelBloom's processes. In production the same commands are run by hand."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pixelbloom.core.queues import QUEUES
from pixelbloom.local.child import Command

#: The folder of wsgi.py, workers/ and celeryconfig.py: a clone, installed or not.
ROOT = Path(__file__).parents[2]
WORKERS = QUEUES
#: These need no database to start: they start beside it.
EARLY = ("web", "flower")
#: In the order of their start.
ROLES = (*EARLY, *WORKERS, "beat")


def command(role: str, env: Mapping[str, str], *, flower_port: int = 5555, cwd: Path | None = None) -> Command:
    """Return the command of `web`, a worker, `beat` or `flower`. `env` has its settings by variable name."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "-A"]
    if role == "web":
        argv = [python, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    elif role in WORKERS:
        argv = [*celery, f"workers.{role}", "worker", "-n", f"{role}@%h", "--without-mingle", "--loglevel=INFO"]
    elif role == "beat":
        argv = [*celery, "workers.clock", "beat", "--loglevel=WARNING"]
    elif role == "flower":
        argv = [*celery, "workers.clock", "flower", "--address=127.0.0.1", f"--port={flower_port}"]
    else:
        raise ValueError(f"no such role: {role}")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    own: dict[str, str] = {}
    if role == "flower":
        # Flower reads FLOWER_* itself: the password from FLOWER_BASIC_AUTH. Without one its API is off.
        own = {"FLOWER_PORT": str(flower_port), "FLOWER_UNAUTHENTICATED_API": "false"}
    return Command(role, argv, env={**env, **own, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}, cwd=cwd)
