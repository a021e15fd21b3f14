"""Serves the figures of the whole system to Prometheus."""

import signal
import threading

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from pixelbloom.container import Container
from pixelbloom.exporter import postgres, redis_server
from pixelbloom.exporter.collector import SystemCollector
from pixelbloom.exporter.store import SystemFigureStore

log = structlog.get_logger(__name__)


def collector(parts: Container) -> SystemCollector:
    """Return the collector of Postgres and Redis, as this process reaches them."""
    store = SystemFigureStore(parts.gateway)
    return SystemCollector(
        {
            "postgres": lambda: postgres.families(store.read()),
            "redis": lambda: redis_server.families(parts.redis, broker=parts.settings.broker_url is None),
        }
    )


def run(parts: Container, address: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError if the port is in use."""
    registry = CollectorRegistry()
    registry.register(collector(parts))
    ProcessCollector(registry=registry)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server, _ = start_http_server(port, address, registry=registry)
    log.info("metrics_served", address=address, port=port)
    stopped.wait()
    server.shutdown()
    server.server_close()
