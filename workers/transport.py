"""The Redis transports of workers, which wake up rarely while there is no message.

kombu's own asks Redis once a second for a message, and its event loop has a timer of a second.
"""

import contextlib
import threading
import time
from typing import Any

from celery.signals import worker_shutting_down
from kombu.asynchronous import get_event_loop

from pixelbloom import broker_transport
from pixelbloom.celery_app import use_transports

#: Redis answers at once when a message arrives. Shorter than the sockets' timeout.
WAIT_SECONDS = 15
#: The timer renews, after a third of their life, the bindings of queues that expire in a minute.
BINDINGS_SECONDS = 10
#: While a worker stops, Celery's loop looks at its state this often.
STOPPING_SECONDS = 0.5


class EndsItsWait:
    """Part of a channel: when it is closed, it ends its wait for a message instead of sitting it out."""

    _in_poll: Any
    conn_or_acquire: Any

    def close(self) -> None:
        """Close the channel. A message that arrives meanwhile is not lost: the wait's response is still read."""
        if self._in_poll:
            with contextlib.suppress(Exception):  # then it takes WAIT_SECONDS at most
                self._unblock(self._in_poll)
        super().close()  # type: ignore[misc]

    def _unblock(self, connection: Any) -> None:
        hello = connection.handshake_metadata
        client_id = hello.get(b"id") or hello.get("id")
        if client_id is None:  # of the older protocol
            return
        with self.conn_or_acquire() as client:
            client.client_unblock(client_id)


class Channel(EndsItsWait, broker_transport.Channel):
    """The channel of all processes, which ends its wait."""


class SentinelChannel(EndsItsWait, broker_transport.SentinelChannel):
    """The same behind Sentinels."""


class WaitsLonger:
    """Part of a transport: longer waits for messages."""

    brpop_timeout = WAIT_SECONDS
    cycle: Any

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Register as kombu does, but with a slower timer."""
        super().register_with_event_loop(connection, loop)  # type: ignore[misc]
        cycle = self.cycle
        cycle._binding_expiry_tref.cancel()
        cycle._binding_expiry_tref = loop.call_repeatedly(BINDINGS_SECONDS, cycle.maybe_refresh_binding_expiry)


class Transport(WaitsLonger, broker_transport.Transport):
    """The transport of all processes, with longer waits."""

    Channel = Channel


class SentinelTransport(WaitsLonger, broker_transport.SentinelTransport):
    """The same behind Sentinels."""

    Channel = SentinelChannel


def install() -> None:
    """Use these transports for Redis in this process."""
    use_transports(__name__)


@worker_shutting_down.connect
def _keep_awake(**_: Any) -> None:
    """Wake the event loop: a signal does not end its wait, and there is no timer of a second any more."""
    threading.Thread(target=_wake, name="shutdown-wake", daemon=True).start()


def _wake() -> None:
    while True:
        loop = get_event_loop()
        if loop is not None:
            loop.call_soon(lambda: None)
        time.sleep(STOPPING_SECONDS)
