"""Reports how many steps this worker process executes at once. Admission follows the sum of all workers."""

import threading
from collections.abc import Callable

import structlog

from pixelbloom.errors import PixelBloomError

log = structlog.get_logger(__name__)

#: A worker that has not reported for 150 seconds does not count, nor does one whose lease expired.
REPORT_SECONDS = 60.0


class CapacityReporter:
    """Reports in its own thread until it is stopped, every `seconds`. `report` takes the slots; 0 at the end."""

    def __init__(self, report: Callable[[int], None], seconds: float = REPORT_SECONDS) -> None:
        self._report = report
        self._seconds = seconds
        self._stopped = threading.Event()

    def start(self, slots: int) -> None:
        """Start reporting this number of slots."""
        threading.Thread(target=self._run, args=(slots,), name="capacity", daemon=True).start()

    def stop(self) -> None:
        """Report that the worker ends, and return at once."""
        self._stopped.set()

    def _run(self, slots: int) -> None:
        while not self._stopped.is_set():
            self._send_report(slots)
            self._stopped.wait(self._seconds)
        self._send_report(0)

    def _send_report(self, slots: int) -> None:
        try:
            self._report(slots)
        except PixelBloomError as error:
            log.warning("capacity_not_reported", reason=error.message)
        except Exception:
            log.exception("capacity_not_reported")
