"""What an agents worker says of its capacity."""

from pixelbloom.errors import Unavailable
from pixelbloom.runs.capacity import CapacityReporter
from tests.waiting import until


def test_a_worker_reports_again_and_again_and_that_it_ends_whatever_a_report_raised() -> None:
    reports: list[int] = []

    def report(slots: int) -> None:
        reports.append(slots)
        if len(reports) == 1:
            raise Unavailable("The database is unreachable; try again shortly.")
        if len(reports) == 2:
            raise ValueError

    reporter = CapacityReporter(report, seconds=0.01)
    reporter.start(8)
    until(lambda: len(reports) >= 4, saw=lambda: reports)
    reporter.stop()
    until(lambda: reports[-1] == 0, saw=lambda: reports)

    assert reports == [8] * (len(reports) - 1) + [0]
