"""Connections that wait for bytes of their clients, and which of them give way."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from gevent.event import Event

from pixelbloom.web.http.connections import Reading, connections
from tests.waiting import SECONDS

PER_ADDRESS = 2


class Clients:
    """Connections, each served by a greenlet of its own until `leave`."""

    def __init__(self) -> None:
        self.admitted: list[bool] = []
        self._left = Event()
        self._greenlets: list[Any] = []

    def open(self, number: int, wait: Callable[[], None] | None = None, address: str = "192.0.2.1") -> list[Any]:
        """So many connections at once: each is served by `wait`, or works until the end. Returns their greenlets."""

        def serve() -> None:
            with connections.opened(address) as admitted:
                self.admitted.append(admitted)
                (wait or self._left.wait)()

        new = [gevent.spawn(serve) for _ in range(number)]
        self._greenlets += new
        gevent.sleep(0)
        return new

    def leave(self) -> None:
        self._left.set()
        gevent.joinall(self._greenlets, timeout=SECONDS, raise_error=True)


def read() -> None:
    """Wait for bytes that never come."""
    with Reading(SECONDS):
        gevent.sleep(SECONDS)
        raise AssertionError("nothing ended the wait")


@pytest.fixture
def clients() -> Iterator[Clients]:
    connections.set_limits(0, PER_ADDRESS)
    opened = Clients()
    with ExitStack() as closing:
        closing.callback(connections.set_limits, 0, 0)
        closing.callback(opened.leave)
        yield opened
    assert (connections.open, connections.waiting) == (0, {})


def ended(greenlets: list[Any]) -> list[bool]:
    gevent.joinall(greenlets, timeout=SECONDS)
    return [each.successful() for each in greenlets]


def test_simultaneous_connections_each_end_a_wait(clients: Clients) -> None:
    waiting = clients.open(PER_ADDRESS, read)

    clients.open(PER_ADDRESS)

    assert ended(waiting) == [True] * PER_ADDRESS
    assert clients.admitted == [True] * 2 * PER_ADDRESS
    assert connections.open == PER_ADDRESS


def test_beyond_the_limit_a_connection_is_refused_if_none_of_its_address_waits(clients: Clients) -> None:
    clients.open(1, read, "192.0.2.2")
    clients.open(PER_ADDRESS)

    clients.open(1)

    assert clients.admitted == [True] * (1 + PER_ADDRESS) + [False]
    assert len(connections.waiting) == 1
    clients.open(PER_ADDRESS, address="192.0.2.2")


def test_a_connection_that_just_received_bytes_is_not_closed(clients: Clients) -> None:
    came, worked = Event(), []

    def serve() -> None:
        with Reading(SECONDS):
            came.wait()
        gevent.sleep(0)
        worked.append(True)

    waiting = clients.open(1, serve)
    clients.open(PER_ADDRESS - 1)
    [reading] = connections.waiting
    came.set()
    reading.end()

    assert ended(waiting) == [True]
    assert worked == [True]
