"""gunicorn's settings, as data. GUNICORN_CMD_ARGS and the command line override them.

`pixelbloom serve` reads them here, `gunicorn wsgi:app` in a clone by its gunicorn.conf.py.
"""

from typing import Any

from gevent import monkey

monkey.patch_all()  # before anything imports ssl or opens a socket

from pixelbloom import health  # noqa: E402
from pixelbloom.startup import BACKEND, allow_open_files, required_settings  # noqa: E402
from pixelbloom.telemetry import folder as metrics_folder  # noqa: E402

settings = required_settings(*BACKEND)  # here, so that nothing starts if one is missing
metrics_folder.make()

allow_open_files(16_384)  # each socket needs one; many systems default to 1,024

bind = f"127.0.0.1:{settings.port}"
# The number of processes is WEB_CONCURRENCY, 1 by default: gunicorn reads it itself.
worker_class = "pixelbloom.web.worker.Worker"
# Concurrent HTTP connections. Open sockets do not count: they have a separate limit (web/realtime/limits.py).
worker_connections = 2_000
backlog = 2048

# Seconds. A worker with an event loop blocked for `timeout` is replaced.
timeout = 60
graceful_timeout = 10
keepalive = 30

# The URL of a socket may have a token.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 16_380

# It would be in the user's home folder, shared by all stacks.
control_socket_disable = True

logger_class = "pixelbloom.web.worker.StructuredLogger"
accesslog = "-"
loglevel = settings.log_level
proc_name = "pixelbloom-web"


def when_ready(server: Any) -> None:
    """Let `pixelbloom health web` find this server."""
    health.serving("web", server.LISTENERS[0].getsockname(), "/healthz")


def on_exit(server: Any) -> None:  # noqa: ARG001  (gunicorn's names, here and below)
    health.forget("web")


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    metrics_folder.process_ended(worker.pid)
