"""Whether our own processes answer, asked while the stack starts."""

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
    """Beat itself answers nothing: it runs where the tasks that it sends have finished lately."""

    def __init__(self, settings: Settings) -> None:
        self._gateway = Gateway(settings)

    def runs(self) -> bool:
        """Whether no periodic task is overdue."""
        try:
            return periodic.judge(PeriodicTaskStore(self._gateway).ages()).problem is None
        except PixelBloomError:
            return False


def answers(port: int, path: str) -> bool:
    """Whether a page of ours answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def flower_knows(port: int, login: str) -> set[str]:
    """The workers that Flower found when it asked anew; `login` is user:password."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        credentials = base64.b64encode(login.encode()).decode()
        connection.request("GET", "/api/workers?refresh=1", headers={"Authorization": f"Basic {credentials}"})
        return set(json.load(connection.getresponse()))
    except (OSError, http.client.HTTPException, ValueError):
        return set()
    finally:
        connection.close()


def pongs(broker: str, name: str) -> bool:
    """Whether a worker of this name answers."""
    app = Celery(broker=broker, set_as_current=False)
    with app.connection_for_write() as connection:
        # Its close waits for a read that is under way: for a second, unless told otherwise.
        connection.transport.brpop_timeout = PING_SECONDS
        # Asked by its name, it is waited for no longer than it takes to answer.
        return bool(app.control.ping([f"{name}@{socket.gethostname()}"], timeout=0.5, connection=connection))
