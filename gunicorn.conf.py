"""gunicorn's settings: `gunicorn wsgi:app` reads them. GUNICORN_CMD_ARGS and the command line override them."""

from gevent import monkey

monkey.patch_all()  # before anything imports ssl or opens a socket

from pixelbloom.startup import BACKEND, allow_open_files, required_settings  # noqa: E402
from pixelbloom.web.operations import metrics_folder  # noqa: E402

settings = required_settings(*BACKEND)  # here, so that nothing is started when one is missing
metrics_folder.make()

allow_open_files(16_384)  # a socket is one; many systems begin with 1,024

bind = f"127.0.0.1:{settings.port}"
# The number of processes is WEB_CONCURRENCY, 1 by default: gunicorn reads it itself.
worker_class = "pixelbloom.web.worker.Worker"
# Connections of HTTP at once. Open sockets do not count: they have a bound of their own (web/realtime/limits.py).
worker_connections = 2_000
backlog = 2048

# Seconds. A worker whose event loop stands still for `timeout` is replaced.
timeout = 60
graceful_timeout = 10
keepalive = 30

# A token may stand in the URL of a socket.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 16_380

# It would stand in the home folder of the user, one for all stacks.
control_socket_disable = True

logger_class = "pixelbloom.web.worker.StructuredLogger"
accesslog = "-"
loglevel = settings.log_level
proc_name = "pixelbloom-web"


def child_exit(server, worker):  # noqa: ARG001  (gunicorn's names)
    metrics_folder.process_ended(worker.pid)
