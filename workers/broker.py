"""Ends a worker in order, with one log line and exit code 70, when Celery cannot recover from a broker failure.

Celery reconnects after a lost connection. Other failures, such as a Redis that became a read-only replica, a RabbitMQ
that refuses the password, or a kombu connection that is half closed when Redis restarts under load, would end its loop
with a traceback and exit code 1.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import redis
import structlog
from amqp.exceptions import AMQPError
from celery.exceptions import WorkerShutdown
from celery.signals import worker_shutting_down
from celery.worker.consumer import Consumer
from kombu.exceptions import KombuError

from pixelbloom.errors import Unavailable

EXIT_CODE = 70  # EX_SOFTWARE: a supervisor should start it again
#: Flower shows a worker as offline after twice as long without one.
HEARTBEAT_SECONDS = 15.0
#: Of the connection to RabbitMQ: each side closes it after twice as long without a sign of the other.
AMQP_HEARTBEAT_SECONDS = 30
#: Time after a broker failure for steps to end or be handed back, and for Celery to stop.
STOP_SECONDS = 30.0
#: These log a traceback of the libraries for each lost connection.
CONNECTION_LOGGERS = ("celery.worker", "celery.bootsteps", "kombu")
#: This one logs errors raised by tasks.
TASK_LOGGER = "celery.app.trace"
#: Errors of an unreachable service; their traceback is of no use.
AWAY = (ConnectionError, TimeoutError, redis.RedisError, AMQPError, KombuError, Unavailable)

log = structlog.get_logger(__name__)


class RoleConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer. An unexpected error ends the worker like SIGTERM, with EXIT_CODE.

    Workers do not listen to each other's events, and send the heartbeats that Flower shows less often. RabbitMQ's
    delayed delivery, 28 queues for times that no task here has, is left out.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps, but for the one of delayed delivery."""

        default_steps: ClassVar[list[str]] = [
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        ]

    def __init__(self, *args: Any, worker_options: dict[str, Any] | None = None, **options: Any) -> None:
        given = worker_options or {}
        quiet = {
            "without_gossip": True,
            "heartbeat_interval": given.get("heartbeat_interval") or HEARTBEAT_SECONDS,
        }
        options.setdefault("amqheartbeat", AMQP_HEARTBEAT_SECONDS)
        super().__init__(*args, worker_options={**given, **quiet}, **options)

    def start(self) -> None:
        try:
            super().start()
        except Exception as error:
            log.error("worker_lost_broker", reason=described(error), exit_code=EXIT_CODE)
            sys.excepthook = _end_now  # whatever else fails on the way out
            timer = threading.Timer(STOP_SECONDS, os._exit, [EXIT_CODE])
            timer.daemon = True
            timer.start()
            worker_shutting_down.send(sender=self.hostname, sig="", how="Warm", exitcode=EXIT_CODE)
            raise WorkerShutdown(EXIT_CODE) from None


class OneLine(logging.Filter):
    """Logs errors of unreachable services by message, without a traceback.

    Celery and kombu raise further errors while they handle a lost connection; other errors of tasks retain their
    traceback. Celery's warning about cancelling tasks at each lost connection does not apply to the threads pool and
    is dropped.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "py.warnings" and "CPendingDeprecationWarning" in record.getMessage():
            return False
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        of_connection = record.name.startswith(CONNECTION_LOGGERS) and any(
            isinstance(e, (*AWAY, OSError)) for e in _origins(error)
        )
        if of_connection or (record.name == TASK_LOGGER and isinstance(error, AWAY)):
            record.msg, record.args = f"{record.getMessage()} ({described(error)})", ()
            record.exc_info = record.exc_text = None
        return True


def shorten(**_: Any) -> None:
    """Add the filter to every handler of the root logger."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(OneLine())


def described(error: BaseException) -> str:
    """Return the error in one line, with the place that raised it."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    code = place.tb_frame.f_code if place is not None else None
    where = f" in {Path(code.co_filename).name}:{code.co_name}" if code is not None else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{where}"


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _end_now(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    log.error("worker_ended", reason=described(error), exit_code=EXIT_CODE)
    logging.shutdown()
    os._exit(EXIT_CODE)
