"""Reads a scrape of Prometheus metrics."""

from collections.abc import Callable, Iterable

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.waiting import SECONDS, until


class Numbers(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """A scrape's samples by name and labels; what is not there is 0."""

    def of(self, name: str, **labels: str) -> float:
        return self.get((f"pixelbloom_{name}", frozenset(labels.items())), 0.0)

    def has(self, name: str, **labels: str) -> bool:
        return (f"pixelbloom_{name}", frozenset(labels.items())) in self


def read(families: Iterable[Metric]) -> Numbers:
    return Numbers(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
    )


def scrape(url: str) -> Numbers:
    response = httpx.get(url, timeout=SECONDS, trust_env=False)
    assert response.status_code == 200
    return read(parse(response.text))


def once(url: str, holds: Callable[[Numbers], bool]) -> Numbers:
    """Return the scrape after the first that matches.

    A scrape reads one file after another: the one that matches may hold older numbers than those that it waited for.
    """
    found: list[Numbers] = []

    def look() -> bool:
        found[:] = [scrape(url)]
        return holds(found[0])

    until(look, saw=lambda: found)
    return scrape(url)
