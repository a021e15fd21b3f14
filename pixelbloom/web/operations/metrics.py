"""`/metrics`: the metrics of all gunicorn processes, for Prometheus.

Sockets count in plain integers (`realtime/stats.py`). Each process copies its own into prometheus_client's files once a
second, and on a scrape; the process that serves the scrape adds up all files.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from weakref import WeakSet

import structlog
from flask import Flask, Response, current_app, g, request
from flask_openapi3 import APIBlueprint, Tag
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from pixelbloom.telemetry.collector import FolderCollector
from pixelbloom.telemetry.folder import VARIABLE
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import require_admin, scoped
from pixelbloom.web.http.connections import connections
from pixelbloom.web.http.openapi import SECURITY, failures, text
from pixelbloom.web.realtime.stats import RELAY_BOUNDS, Stats, Times

log = structlog.get_logger(__name__)

#: Up to the 60 s for which `Prefer: wait` may delay a response.
REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: Peers choose codes and methods freely; all others share one label, so that there are few series.
CLOSE_CODES = frozenset(range(1000, 1016))
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
NO_ROUTE = "none"

metrics = APIBlueprint(
    "metrics", __name__, abp_tags=[Tag(name="Metrics", description="Prometheus metrics, for operators.")]
)
metrics.before_request(scoped("metrics"))
_running: "WeakSet[Metrics]" = WeakSet()


class _Tally(Histogram):
    """A histogram that accepts counts from elsewhere; the library's accepts single values."""

    def add(self, counts: Sequence[int], total: float) -> None:
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            bucket.inc(count)


class _Library:
    """The metrics in prometheus_client."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry, multiprocess_mode="livesum")

        self.processes = gauge("pixelbloom_web_processes", "Web processes included in these numbers")
        self.open = gauge("pixelbloom_sockets_open", "WebSockets that are open", ["channel"])
        self.streams = gauge("pixelbloom_event_streams_open", "Streams of server-sent events that are open")
        self.subscriptions = gauge(
            "pixelbloom_socket_subscriptions", "Subscriptions of sockets, by kind of topic", ["kind"]
        )
        self.queue_bytes = gauge("pixelbloom_socket_queue_bytes", "Bytes that wait for slow clients to read them")
        self.connections = gauge("pixelbloom_http_connections", "Open HTTP connections")
        self.waits = gauge("pixelbloom_http_waits", "Requests that wait for the end of a run")
        self.received = counter(
            "pixelbloom_events_received_total", "Messages from Redis that a socket or request follows", ["kind"]
        )
        self.sent = counter("pixelbloom_frames_sent_total", "Frames written to sockets")
        self.dropped = counter(
            "pixelbloom_frames_dropped_total",
            "Frames never sent: text merged for a slow client, or dropped with the socket",
            ["reason"],
        )
        self.closes = counter("pixelbloom_socket_closes_total", "Sockets closed; 1006: without a close frame", ["code"])
        self.relay = _Tally(
            "pixelbloom_event_relay_seconds",
            "From publishing a message to the end of writing it to this process's sockets",
            registry=self.registry,
            buckets=RELAY_BOUNDS,
        )
        self.link_up = gauge(
            "pixelbloom_redis_link_up",
            "0 while a process has lost the connection that brings its events",
            multiprocess_mode="livemin",
        )
        self.reconnects = counter(
            "pixelbloom_redis_reconnects_total", "Reconnects of the connection that brings the events"
        )
        self.requests = counter("pixelbloom_http_requests_total", "Completed requests", ["route", "method", "status"])
        self.durations = Histogram(
            "pixelbloom_http_request_duration_seconds",
            "Time to respond to a request",
            ["route"],
            registry=self.registry,
            buckets=REQUEST_BOUNDS,
        )


class _Parts(Collector):
    """The dependencies of the system, as `/readyz` reports them: the same for all processes."""

    def __init__(self, checks: Mapping[str, Mapping[str, Any]]) -> None:
        self._checks = checks

    def collect(self) -> Iterator[Metric]:
        checks = self._checks
        for name, what in (("database", "the database"), ("redis", "Redis"), ("broker", "the broker of its own")):
            if name not in checks:  # Redis is the broker
                continue
            up = checks[name]["status"] != "unavailable"
            yield GaugeMetricFamily(f"pixelbloom_{name}_up", f"1 if {what} is reachable", float(up))
        workers = GaugeMetricFamily("pixelbloom_workers", "Workers that respond, by queue", labels=["queue"])
        for queue, number in checks["workers"].get("queues", {}).items():
            workers.add_metric([queue], number)
        ages = GaugeMetricFamily(
            "pixelbloom_periodic_task_age_seconds",
            "Time since the last pulse of beat, or of a worker that it sends to",
            labels=["task"],
        )
        for task, age in checks["beat"].get("ages", {}).items():
            ages.add_metric([task], age)
        yield from (workers, ages)


class Metrics:
    """The metrics of this process, and access to those of the others."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._copied: tuple[object, ...] = ()
        self._exported: dict[tuple[object, ...], int] = {}
        self._exported_relay = Times(RELAY_BOUNDS)
        _running.add(self)

    @cached_property
    def _library(self) -> _Library:
        """Created on first use, when it has values: gunicorn's master process, which may load the application but
        serves nothing, must not export zeros.
        """
        return _Library()

    def copy(self) -> None:
        """Copy the counters of this process, if any has changed, to where all processes read them."""
        stats, library = self._stats, self._library
        seen = _values(stats)
        if seen == self._copied:
            return
        self._copied = seen
        library.processes.set(1)
        for channel, open_ in stats.sockets.items():
            library.open.labels(channel).set(open_)
        library.streams.set(stats.streams)
        for kind, number in stats.subscriptions.items():
            library.subscriptions.labels(kind).set(number)
        library.queue_bytes.set(stats.queue_bytes)
        library.connections.set(connections.open)
        library.waits.set(stats.waits)
        library.link_up.set(stats.link_up)
        for kind, received in list(stats.received.items()):
            self._increase(library.received, received, kind)
        self._increase(library.sent, stats.frames_sent)
        self._increase(library.dropped, stats.merged, "merged")
        self._increase(library.dropped, stats.overflowed, "overflow")
        for code, number in _by_label(stats.closes).items():
            self._increase(library.closes, number, code)
        self._increase(library.reconnects, max(0, stats.link_connects - 1))
        self._increase_relay(stats.relay)

    def render(self, accept: str, checks: Mapping[str, Mapping[str, Any]]) -> Response:
        """Return the metrics of all processes and their dependencies, in the format that the scraper accepts."""
        self.copy()
        registry = CollectorRegistry()
        if VARIABLE in os.environ:
            FolderCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._library.registry)
        registry.register(_Parts(checks))
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})

    def watch_requests(self, app: Flask) -> None:
        """Count the application's requests. Call it before registering other handlers, to include their time."""
        app.before_request(_begin)
        app.after_request(self._end)

    def _end(self, response: Response) -> Response:
        if response.status_code != 101:  # a socket's lifetime is not a request duration
            rule = request.url_rule
            route = NO_ROUTE if rule is None else rule.rule
            method = request.method if request.method in METHODS else OTHER
            library = self._library
            library.requests.labels(route, method, f"{response.status_code // 100}xx").inc()
            library.durations.labels(route).observe(time.perf_counter() - g.began)
        return response

    def _increase(self, counter: Counter, now: int, *labels: str) -> None:
        key = (counter, *labels)
        child = counter.labels(*labels) if labels else counter
        child.inc(now - self._exported.get(key, 0))
        self._exported[key] = now

    def _increase_relay(self, now: Times) -> None:
        exported = self._exported_relay
        self._library.relay.add(
            [count - before for count, before in zip(now.counts, exported.counts, strict=True)],
            now.total - exported.total,
        )
        exported.counts[:], exported.total = now.counts, now.total


def _values(stats: Stats) -> tuple[object, ...]:
    """Return all values that are copied, to compare them: writing them costs much more."""
    return (
        *(dict(values) for values in (stats.sockets, stats.subscriptions, stats.received, stats.closes)),
        *(stats.streams, stats.queue_bytes, stats.waits, stats.link_up, stats.link_connects, connections.open),
        *(stats.frames_sent, stats.merged, stats.overflowed, tuple(stats.relay.counts), stats.relay.total),
    )


def register(app: Flask, stats: Stats) -> Metrics:
    """Count requests, and store the metrics with the application."""
    found = app.extensions["metrics"] = Metrics(stats)
    found.watch_requests(app)
    return found


def copy() -> None:
    """Copy this process's metrics. Never raises."""
    for each in list(_running):
        try:
            each.copy()
        except Exception:
            log.exception("metrics_copy_failed")


@metrics.get(
    "/metrics",
    summary="Get metrics",
    operation_id="getMetrics",
    security=SECURITY,
    responses={
        **text(
            "The metrics of all processes of this server.",
            {
                "text/plain": 'pixelbloom_sockets_open{channel="workflows"} 12.0\n',
                "application/openmetrics-text": 'pixelbloom_sockets_open{channel="workflows"} 12.0\n# EOF\n',
            },
        ),
        **failures(401, 403, 500, 503),
    },
)
def scrape() -> Response:
    """For administrators and services. The format depends on `Accept`: Prometheus text, or OpenMetrics."""
    parts = services()
    require_admin("read the metrics")
    found: Metrics = current_app.extensions["metrics"]
    return found.render(request.headers.get("Accept", ""), parts.readiness.check().checks)


def _begin() -> None:
    g.began = time.perf_counter()


def _by_label(closes: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for code, number in list(closes.items()):
        label = str(code) if code in CLOSE_CODES else OTHER
        found[label] = found.get(label, 0) + number
    return found
