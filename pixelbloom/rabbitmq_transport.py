"""kombu's transport for RabbitMQ, with confirmed messages, verified certificates, and the priorities of Redis."""

import ssl
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

#: A broker that is frozen, or out of memory or disk space, accepts connections and confirms nothing.
CONFIRM_SECONDS = 10.0
#: The delivery mode of messages that RabbitMQ does not store.
TRANSIENT = 1
#: Of RabbitMQ's quorum queues, 5 and more are urgent, and 4 and less are not; with Redis, 0 comes first.
HIGHEST_PRIORITY = 5


def tls(ca: str | None) -> dict[str, Any]:
    """Return kombu's options for `amqps://`: certificates and host names are verified, by the file `ca` if given."""
    return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **({"ca_certs": ca} if ca is not None else {})}


class Channel(pyamqp.Channel):
    """A channel whose priorities have the numbers of Redis, and that waits for confirmations for a bounded time."""

    def prepare_message(self, body: Any, priority: int | None = None, *args: Any, **options: Any) -> Any:
        """Return the message with RabbitMQ's priority."""
        return super().prepare_message(body, _reversed(priority), *args, **options)  # type: ignore[no-untyped-call]

    def message_to_python(self, raw_message: Any) -> Any:
        """Return the message with the priority that it was sent with, which later steps of a chain inherit."""
        properties = raw_message.properties
        if "priority" in properties:
            properties["priority"] = _reversed(properties["priority"])
        return super().message_to_python(raw_message)  # type: ignore[no-untyped-call]

    def basic_publish_confirm(self, msg: Any, *args: Any, **options: Any) -> Any:
        """Publish, and wait until the broker has stored the message. Raises RecoverableConnectionError.

        A transient message is not waited for, unless its channel also sends others: a worker sends Celery's events in
        its main loop, which must notice that the broker is frozen.
        """
        if not self._confirm_selected and msg.properties.get("delivery_mode") == TRANSIENT:
            return self._basic_publish(msg, *args, **options)
        options["confirm_timeout"] = options.get("confirm_timeout") or CONFIRM_SECONDS
        try:
            return super().basic_publish_confirm(msg, *args, **options)
        except TimeoutError:
            if self.connection is not None:
                self.connection.collect()  # a late confirmation must not be taken for that of the next message
            raise RecoverableConnectionError(f"the broker confirmed nothing for {CONFIRM_SECONDS:g} s") from None


class Connection(pyamqp.Connection):
    """A connection with such channels."""

    Channel = Channel


class Transport(pyamqp.Transport):
    """The transport of `amqp://`, by celery_app.py."""

    Connection = Connection

    def establish_connection(self) -> Any:
        """Connect to the current node. kombu notes its host name in the TLS options, which all nodes share."""
        client: Any = self.client
        if isinstance(client.ssl, dict):
            client.ssl = {**client.ssl, "server_hostname": None}
        return super().establish_connection()  # type: ignore[no-untyped-call]


class TlsTransport(Transport):
    """The transport of `amqps://`. Without options it verifies by the system's certificates."""

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        if not isinstance(client.ssl, dict):
            client.ssl = tls(None)


def _reversed(priority: int | None) -> int:
    return HIGHEST_PRIORITY - min(priority or 0, HIGHEST_PRIORITY)
