"""The gunicorn worker: errors in the spec's format, structured access logs, sockets drained on stop."""

import json
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from socket import SHUT_WR
from typing import Any

import gevent
import structlog
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from pixelbloom import logs
from pixelbloom.config import settings
from pixelbloom.core.addresses import visitor_address
from pixelbloom.web.http.body import body_was_read
from pixelbloom.web.http.connections import Reading, connections
from pixelbloom.web.http.errors import body
from pixelbloom.web.http.request_id import HEADER, choose
from pixelbloom.web.operations import metrics
from pixelbloom.web.realtime import drain
from pixelbloom.web.runs import waits

log = structlog.get_logger("pixelbloom.web.access")

#: Requests of supervisors and of Prometheus, every few seconds; only failed ones are logged.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
#: Seconds for a client to read a response, or a part of a long one.
SEND_SECONDS = 60
#: After a response to a request with an unread body: how long, and how much of the body, is read and discarded.
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
#: Seconds for one more request on a connection while the process stops.
LAST_REQUEST_SECONDS = 1.0
#: Share of `graceful_timeout` for draining the sockets.
DRAIN_SHARE = 0.6


class Worker(GeventWorker):  # type: ignore[misc]
    """The gevent worker."""

    def init_process(self) -> None:
        # A malformed request never reaches the application; its response must have the spec's body too.
        util.write_error = _write_error
        self._drainer: Any = None
        super().init_process()

    def notify(self) -> None:
        """Once a second: report to gunicorn that the process is alive, and copy its metrics."""
        super().notify()
        metrics.copy()

    def run(self) -> None:
        """Run until a stop signal, then until requests have ended and sockets were drained."""
        waits.limit_to_connections(self.worker_connections)
        chosen = settings()
        # Behind a proxy, all connections come from the proxy's address.
        connections.set_limits(self.worker_connections, 0 if chosen.trusted_proxies else chosen.connections_per_address)
        try:
            super().run()
            if self._drainer is not None:
                self._drainer.join(self.cfg.graceful_timeout)
        finally:
            metrics.copy()

    def load_wsgi(self) -> None:
        """Load the application and wrap it, to check each request's body before its response is sent."""
        super().load_wsgi()
        application: Any = self.wsgi
        self.wsgi: Any = partial(_respond, application)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection, from its first byte to its last."""
        address = visitor_address(addr[0]) if isinstance(addr, tuple) else ""
        with connections.opened(address) as admitted:
            if admitted:
                super().handle(listener, client, addr)
            else:
                _refuse(client, 429, body("RATE_LIMITED", "Your address has too many open connections; close some."))
                client.close()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request. If its body was not read, the connection cannot be reused."""
        try:
            super().handle_request(listener_name, req, sock, addr)
        except TimeoutError:  # the client does not read
            raise StopIteration from None
        except StopIteration:
            if getattr(req, "left_unread", False):
                _linger(sock)
            raise

    def timeout_ctx(self) -> gevent.Timeout:
        """Return the timeout of the wait for a connection's next request."""
        return Reading(self.cfg.keepalive if self.alive else LAST_REQUEST_SECONDS)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: drain the sockets while current requests end."""
        super().handle_exit(sig, frame)
        self._drainer = self._drainer or gevent.spawn(self._drain)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT stop as gracefully: a terminal sends SIGINT to every process of its group."""
        self.handle_exit(sig, frame)

    def _drain(self) -> None:
        try:
            drain(max(self.cfg.graceful_timeout * DRAIN_SHARE, 1.0))
        except Exception:
            log.exception("drain_failed")
        gevent.sleep(LAST_REQUEST_SECONDS)
        for reading in list(connections.waiting):
            reading.end()


def _respond(application: Any, environ: dict[str, Any], start_response: Any) -> Any:
    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        if not body_was_read(environ["wsgi.input"]):
            response = start_response.__self__
            response.force_close()
            response.req.left_unread = True
        return start_response(status, headers, exc_info)

    parts = application(environ, start)
    environ["gunicorn.socket"].settimeout(SEND_SECONDS)
    return parts


def _linger(sock: Any) -> None:
    """Shut down our sending side, and give the client time to read the response before a reset would discard it."""
    left = LINGER_BYTES
    with suppress(OSError), Reading(LINGER_SECONDS):
        sock.shutdown(SHUT_WR)
        while left > 0 and (part := sock.recv(65536)):
            left -= len(part)


def _write_error(sock: Any, status: int, reason: str, message: str) -> None:  # noqa: ARG001
    if status >= 500 and status != 501:  # an unknown transfer coding is the client's error
        status, content = 500, body("INTERNAL", "Internal error; try again.")
    else:
        status, content = 400, body("BAD_REQUEST", "The request is not well-formed HTTP, or its head is too large.")
    _refuse(sock, status, content)


def _refuse(sock: Any, status: int, content: dict[str, Any]) -> None:
    data = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Connection: close\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"{HEADER}: {choose(None)}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode() + data)


class StructuredLogger(Logger):  # type: ignore[misc]
    """gunicorn's logs through our formatter, and one line per request, without its query string."""

    def setup(self, cfg: Any) -> None:
        logs.configure(settings())
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002
        """Log one line per request, without its query string, which may have a token; no line for a probe."""
        path = environ.get("PATH_INFO")
        if not self.access_log_enabled or (path in PROBES and _status(resp) < 400):
            return
        headers = {name.lower(): value for name, value in resp.headers}
        log.info(
            "request",
            request_id=headers.get(HEADER.lower()),
            method=environ.get("REQUEST_METHOD"),
            path=path,
            status=_status(resp),
            bytes=getattr(resp, "sent", None),
            duration_ms=round(request_time.total_seconds() * 1000, 1),
        )


def _status(resp: Any) -> int:
    return int(str(resp.status).split(None, 1)[0])
