"""Says how many steps this worker process executes at once: what is admitted follows the sum of all workers."""

import threading
from collections.abc import Callable

import structlog

from pixelbloom.errors import PixelBloomError

log = structlog.get_logger(__name__)

#: A worker that has not reported for 30 seconds does not count.
REPORT_SECONDS = 10.0


class CapacityReporter:
    """Reports in a thread of its own until it is stopped. `report` takes the slots; 0 when the worker ends."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._stopped = threading.Event()

    def start(self, slots: int) -> None:
        """Report so many slots from now on."""
        threading.Thread(target=self._run, args=(slots,), name="capacity", daemon=True).start()

    def stop(self) -> None:
        """Report once more that the worker ends. Returns at once."""
        self._stopped.set()

    def _run(self, slots: int) -> None:
        while not self._stopped.is_set():
            self._say(slots)
            self._stopped.wait(REPORT_SECONDS)
        self._say(0)

    def _say(self, slots: int) -> None:
        try:
            self._report(slots)
        except PixelBloomError as error:
            log.warning("capacity_not_reported", reason=error.message)
        except Exception:
            log.exception("capacity_not_reported")
