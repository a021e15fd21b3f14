"""Probes of the stack's processes, used while it starts."""

import base64
import http.client
import json
import socket

from celery import Celery

from pixelbloom.config import Settings
from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import PixelBloomError
from pixelbloom.periodic import verdict as periodic
from pixelbloom.periodic.store import PeriodicTaskStore

PING_SECONDS = 0.1


class Beat:
    """Beat has no endpoint: it runs if the tasks that it sends have finished lately."""

    def __init__(self, settings: Settings) -> None:
        self._gateway = Gateway(settings)

    def runs(self) -> bool:
        """Return whether no periodic task is overdue."""
        try:
            return periodic.judge(PeriodicTaskStore(self._gateway).ages()).problem is None
        except PixelBloomError:
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


def pongs(broker: str, name: str, seconds: float = 0.5) -> bool:
    """Return whether a worker of this name replies within so many seconds."""
    app = Celery(broker=broker, set_as_current=False)
    with app.connection_for_write() as connection:
        # Its close waits for a read in progress: for a second, unless set otherwise.
        connection.transport.brpop_timeout = PING_SECONDS
        # Addressed by its name, the wait ends with its reply.
        return bool(app.control.ping([f"{name}@{socket.gethostname()}"], timeout=seconds, connection=connection))
