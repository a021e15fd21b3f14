"""gunicorn for the socket tests: PixelBloom's worker class, every log line, a short stop."""

from gevent import monkey

monkey.patch_all()

from pixelbloom.telemetry import folder as metrics_folder  # noqa: E402

metrics_folder.make()

worker_class = "pixelbloom.web.worker.Worker"
worker_connections = 2_000
graceful_timeout = 8
keepalive = 5
timeout = 60
limit_request_line = 8190

logger_class = "pixelbloom.web.worker.StructuredLogger"
accesslog = "-"
loglevel = "debug"


def child_exit(server, worker):
    metrics_folder.process_ended(worker.pid)
