"""Probes of the stack's processes, used while it starts."""

import base64
import http.client
import json
import socket

from celery import Celery
from redis import RedisError

from pixelbloom.celery_app import broker_options
from pixelbloom.config import Settings
from pixelbloom.events.publisher import publisher_redis
from pixelbloom.periodic import verdict as periodic
from pixelbloom.periodic.pulses import Pulses

PING_SECONDS = 0.1


class Beat:
    """Beat has no endpoint: it runs if it and the workers that it sends to gave a pulse lately."""

    def __init__(self, settings: Settings) -> None:
        self._pulses = Pulses(publisher_redis(settings))

    def runs(self) -> bool:
        """Return whether no pulse is overdue."""
        try:
            return periodic.judge(self._pulses.ages()).problem is None
        except RedisError:
            return False


def responds(port: int, path: str) -> bool:
    """Return whether a page of this stack returns 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def flower_knows(port: int, login: str) -> set[str]:
    """Have Flower refresh, and return the workers that it found. `login` is user:password."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        credentials = base64.b64encode(login.encode()).decode()
        connection.request("GET", "/api/workers?refresh=1", headers={"Authorization": f"Basic {credentials}"})
        return set(json.load(connection.getresponse()))
    except (OSError, http.client.HTTPException, ValueError):
        return set()
    finally:
        connection.close()


def pongs(settings: Settings, name: str, seconds: float = 0.5) -> bool:
    """Return whether a worker of this name replies within so many seconds."""
    app = Celery(set_as_current=False)
    app.conf.update(broker_options(settings))
    with app.connection_for_write() as connection:
        # Its close waits for a read in progress: for a second, unless set otherwise.
        connection.transport.brpop_timeout = PING_SECONDS
        # Addressed by its name, the wait ends with its reply.
        return bool(app.control.ping([f"{name}@{socket.gethostname()}"], timeout=seconds, connection=connection))
