"""How gunicorn serves the application: errors in the spec's form, structured access logs, sockets drained on stop."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import gevent
import structlog
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from pixelbloom import logs
from pixelbloom.config import settings
from pixelbloom.web import metrics
from pixelbloom.web.errors import body
from pixelbloom.web.realtime import drain
from pixelbloom.web.request_id import HEADER, choose

log = structlog.get_logger("pixelbloom.web.access")

#: Seconds that a connection gets for one more request while the process stops.
LAST_REQUEST_SECONDS = 1.0
#: Of `graceful_timeout`, for telling the sockets to come back elsewhere.
DRAIN_SHARE = 0.6


class Worker(GeventWorker):  # type: ignore[misc]
    """The gevent worker."""

    def init_process(self) -> None:
        # A request that is no HTTP never reaches the application; its answer has the spec's body all the same.
        util.write_error = _write_error
        self._idle: set[_Idle] = set()
        self._drainer: Any = None
        super().init_process()

    def notify(self) -> None:
        """Once a second: tell gunicorn that the process lives, and the other processes what it has counted."""
        super().notify()
        metrics.copy()

    def run(self) -> None:
        """Until it is told to stop, requests have ended and the sockets have been told."""
        try:
            super().run()
            if self._drainer is not None:
                self._drainer.join(self.cfg.graceful_timeout)
        finally:
            metrics.copy()

    def timeout_ctx(self) -> gevent.Timeout:
        """What ends the wait for a connection's next request."""
        return _Idle(self._idle, self.cfg.keepalive if self.alive else LAST_REQUEST_SECONDS)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: sockets are told to come back elsewhere, while requests in hand end."""
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
        for idle in list(self._idle):
            idle.end()


class _Idle(gevent.Timeout):  # type: ignore[misc]
    """The wait for a connection's next request, which can be ended early."""

    def __init__(self, waiting: "set[_Idle]", seconds: float) -> None:
        super().__init__(seconds, exception=False)
        self._waiting = waiting
        self._greenlet: Any = None

    def __enter__(self) -> "_Idle":
        self._greenlet = gevent.getcurrent()
        self._waiting.add(self)
        super().__enter__()
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> Any:
        self._waiting.discard(self)
        return super().__exit__(kind, value, traceback)

    def end(self) -> None:
        """As if the time had passed."""
        gevent.kill(self._greenlet, self)


def _write_error(sock: Any, status: int, reason: str, message: str) -> None:  # noqa: ARG001
    if status >= 500 and status != 501:  # a transfer coding that nobody knows is the client's fault
        status, content = 500, body("INTERNAL", "Something went wrong on our side; try again.")
    else:
        status, content = 400, body("BAD_REQUEST", "The request is not well-formed HTTP, or its head is too large.")
    data = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Connection: close\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"{HEADER}: {choose(None)}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode() + data)


class StructuredLogger(Logger):  # type: ignore[misc]
    """gunicorn's own lines through our formatter, and one line a request, without its query string."""

    def setup(self, cfg: Any) -> None:
        logs.configure(settings())
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002
        """One line a request: never its query string, which may hold a token."""
        if not self.access_log_enabled:
            return
        headers = {name.lower(): value for name, value in resp.headers}
        log.info(
            "request",
            request_id=headers.get(HEADER.lower()),
            method=environ.get("REQUEST_METHOD"),
            path=environ.get("PATH_INFO"),
            status=int(str(resp.status).split(None, 1)[0]),
            bytes=getattr(resp, "sent", None),
            duration_ms=round(request_time.total_seconds() * 1000, 1),
        )
