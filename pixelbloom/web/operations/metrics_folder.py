"""Where gunicorn's processes keep their metrics for one another, for as long as gunicorn runs.

Whichever process answers a scrape reads the numbers of all. prometheus_client looks for the folder when it is imported:
`make` comes first, so this module imports the library only where it is used.
"""

import atexit
import os
import shutil
import tempfile

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def make() -> None:
    """Make the folder of this gunicorn, and name it in the environment of its processes.

    Reading the configuration again (SIGHUP) keeps it. A new gunicorn that takes over from an old one (USR2) inherits
    the old one's name and makes its own.
    """
    own = f"pixelbloom-metrics-{os.getpid()}-"
    if own not in os.environ.get(VARIABLE, ""):
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix=own)
        atexit.register(_remove, os.environ[VARIABLE], os.getpid())


def process_ended(pid: int) -> None:
    """Forget what a process had open; what it has counted stays, for totals must not fall."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _remove(folder: str, maker: int) -> None:
    if os.getpid() == maker:  # the processes forked by it inherit this function
        shutil.rmtree(folder, ignore_errors=True)
