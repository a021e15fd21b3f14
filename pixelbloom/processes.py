"""The command line of each of PixelBloom's processes. `pixelbloom serve`, `worker`, `beat` and `flower` become it."""

import sys
from collections.abc import Sequence

from pixelbloom.core.queues import QUEUES

#: A worker a queue.
WORKERS = QUEUES


def argv(role: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command line of `web`, a worker, `beat` or `flower`.

    `options` are those of gunicorn or Celery; they override what is set here. Raises ValueError for another role.
    """
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "-A"]
    if role == "web":
        return [python, "-m", "gunicorn", "-c", "python:pixelbloom.web.gunicorn_settings", *options, "wsgi:app"]
    if role in WORKERS:
        worker = ["worker", "-n", f"{role}@%h", "--without-mingle", "--loglevel=INFO"]
        return [*celery, f"workers.{role}", *worker, *options]
    if role == "beat":
        return [*celery, "workers.clock", "beat", "--loglevel=WARNING", *options]
    if role == "flower":
        return [*celery, "workers.clock", "flower", *options]
    raise ValueError(f"no such role: {role}")
