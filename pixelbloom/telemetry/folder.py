"""The folder where gunicorn's processes, or those of a worker, share their metrics, for as long as they run.

The process that serves a scrape reads the metrics of all. prometheus_client looks for the folder when it is imported:
`make` must run first, so this module imports the library only where it is used.
"""

import atexit
import os
import shutil
import tempfile

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def make() -> None:
    """Create the folder of this gunicorn or worker, and set its path in the environment of its processes.

    A reload of the configuration (SIGHUP) reuses it. A new gunicorn that replaces an old one (USR2) inherits the
    old path and creates its own folder.
    """
    own = f"pixelbloom-metrics-{os.getpid()}-"
    if own not in os.environ.get(VARIABLE, ""):
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix=own)
        atexit.register(_remove, os.environ[VARIABLE], os.getpid())


def process_ended(pid: int) -> None:
    """Discard the gauges of an ended process; its counters remain, because totals must not decrease."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _remove(folder: str, maker: int) -> None:
    if os.getpid() == maker:  # the processes forked by it inherit this function
        shutil.rmtree(folder, ignore_errors=True)
