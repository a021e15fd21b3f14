"""Collects the figures of the system on each scrape, at most once in a few seconds."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

#: A second scraper within this time gets the same figures: scrapes must not add up to a load.
FRESH_SECONDS = 5.0


class SystemCollector(Collector):
    """The metrics of several sources, each read by a function. A source that fails is reported as down."""

    def __init__(self, sources: Mapping[str, Callable[[], Iterable[Metric]]]) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._read_at = float("-inf")
        self._failed: set[str] = set()

    def describe(self) -> Iterator[Metric]:
        """Describe nothing: the registry must not read the sources when this collector is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                self._found = list(self._read())
                self._read_at = time.monotonic()
            yield from self._found

    def _read(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("pixelbloom_exporter_source_up", "1 if the source was read", labels=["source"])
        took = GaugeMetricFamily(
            "pixelbloom_exporter_read_seconds", "Duration of reading the source", labels=["source"]
        )
        for source, read in self._sources.items():
            began = time.perf_counter()
            found = self._read_source(source, read)
            up.add_metric([source], float(found is not None))
            took.add_metric([source], time.perf_counter() - began)
            yield from found or ()
        yield from (up, took)

    def _read_source(self, source: str, read: Callable[[], Iterable[Metric]]) -> list[Metric] | None:
        try:
            found = list(read())
        except Exception as error:
            if source not in self._failed:  # an outage is logged once
                log.warning("source_not_read", source=source, reason=f"{type(error).__name__}: {error}")
            self._failed.add(source)
            return None
        self._failed.discard(source)
        return found
