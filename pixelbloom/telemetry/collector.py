"""Collects the metrics that the processes of a gunicorn or a worker share in their folder."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector


class FolderCollector(MultiProcessCollector):
    """Reads the files that have values.

    The library's own collector fails on one that a starting process has just created, and that is still empty.
    """

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in Path(self._path).glob("*.db") if _has_values(file)]
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call,no-any-return]


def _has_values(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # the gauges of a process that has just ended
        return False
