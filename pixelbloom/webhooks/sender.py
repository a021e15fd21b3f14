"""Sends one attempt of a delivery: signed, bounded in time, and without redirects."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from standardwebhooks.webhooks import Webhook
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from pixelbloom import __version__
from pixelbloom.core.backoff import backoff
from pixelbloom.errors import InvalidInput
from pixelbloom.webhooks.address import AddressRefused, Target, check_url, resolve
from pixelbloom.webhooks.deadline import within
from pixelbloom.webhooks.secrets import own_secret

CONNECT_SECONDS = 5.0
#: For the whole attempt, including the name lookup and a slow response.
TOTAL_SECONDS = 20.0
MAX_BODY_BYTES = 256 * 1024
FIRST_BACKOFF_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 2 * 3600.0
#: The receiver is permanently gone.
GONE = 410
_TOO_SLOW = "The receiver timed out."


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt. `retry_after` is in seconds, or None if not requested."""

    status_code: int | None
    error: str | None
    duration_ms: int
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def responded(self) -> bool:
        """Whether the receiver responded at all."""
        return self.status_code is not None

    @property
    def final(self) -> bool:
        """Whether another attempt is pointless."""
        return self.status_code == GONE

    def retry_seconds(self, attempts: int) -> float:
        """Return the delay after this many attempts: doubling, bounded, with jitter; longer if requested."""
        own = backoff(FIRST_BACKOFF_SECONDS, attempts + 1, MAX_BACKOFF_SECONDS)
        return min(max(own, self.retry_after or 0.0), MAX_BACKOFF_SECONDS)


def payload(event: str, run: Mapping[str, Any]) -> bytes:
    """Return the event with the run as in the API. A too large run loses input, results and metadata, and is marked."""
    data = dict(run)
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = json.dumps({"type": event, "timestamp": stamp, "data": data}, separators=(",", ":")).encode()
    if len(body) > MAX_BODY_BYTES:
        for names in (("input", "inputs"), ("result", "outputs", "steps"), ("metadata",)):
            for name in names:
                data.pop(name, None)
            whole = {"type": event, "timestamp": stamp, "truncated": True, "data": data}
            body = json.dumps(whole, separators=(",", ":")).encode()
            if len(body) <= MAX_BODY_BYTES:
                break
    return body


class Sender:
    """Sends webhooks. During a rotation of secrets, each body has a signature with each secret."""

    def __init__(self, secrets: Sequence[str], *, allow_private: bool) -> None:
        self._secrets = tuple(secrets)
        self._allow_private = allow_private
        self._tls: ssl.SSLContext | None = None

    def send(self, delivery_id: UUID, url: str, body: bytes, user_id: UUID | None = None) -> Outcome:
        """POST the body once, also signed with the user's secret. Never raises because of the receiver."""
        began = time.monotonic()

        def ended(status: int | None, error: str | None, retry_after: float | None = None) -> Outcome:
            return Outcome(status, error, round((time.monotonic() - began) * 1000), retry_after)

        if not self._secrets:
            return ended(None, "Webhooks cannot be signed: WEBHOOK_SECRET is not set.")
        try:
            target = check_url(url, allow_private=self._allow_private)
            address = within(TOTAL_SECONDS, lambda: resolve(target, allow_private=self._allow_private))
            connection = self._connection(target, address)
        except (AddressRefused, InvalidInput) as refused:
            return Outcome(None, str(refused), 0)  # the duration would reveal details of our network
        except TimeoutError:
            return ended(None, _TOO_SLOW)
        late = threading.Event()
        left = max(TOTAL_SECONDS - (time.monotonic() - began), 0.0)
        timer = threading.Timer(left, _cut, [connection, late])
        timer.daemon = True
        timer.start()
        try:
            headers = {**self._signed(delivery_id, body, user_id), "Host": target.authority}
            connection.connect()
            if late.is_set():
                raise TimeoutError
            connection.request("POST", target.path, body=body, headers=headers, preload_content=False)
            response = connection.getresponse()
            if late.is_set():
                raise TimeoutError  # a truncated header section looks complete
            status = response.status
            error = None if 200 <= status < 300 else f"The receiver returned {status}."
            return ended(status, error, retry_after(response.headers.get("Retry-After"), datetime.now(UTC)))
        except ssl.SSLError as error:
            return ended(None, f"TLS failed: {error.reason or 'the certificate does not match'}.")
        except (OSError, HTTPError, ValueError) as error:
            slow = late.is_set() or isinstance(error, TimeoutError | ConnectTimeoutError | ReadTimeoutError)
            slow = slow and not isinstance(error, NewConnectionError)
            return ended(None, _TOO_SLOW if slow else f"The connection failed ({type(error).__name__}).")
        finally:
            timer.cancel()
            connection.close()

    def _connection(self, target: Target, address: str) -> HTTPConnection:
        if target.scheme == "http":
            return HTTPConnection(address, target.port, timeout=CONNECT_SECONDS * 2)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return HTTPSConnection(
            address,
            target.port,
            timeout=CONNECT_SECONDS * 2,
            ssl_context=self._tls,
            server_hostname=target.host,
            assert_hostname=target.host,
        )

    def _signed(self, delivery_id: UUID, body: bytes, user_id: UUID | None) -> dict[str, str]:
        now = datetime.now(UTC)
        name = f"msg_{delivery_id.hex}"
        own = [own_secret(secret, user_id) for secret in self._secrets] if user_id is not None else []
        signers = [Webhook(secret) for secret in (*self._secrets, *own)]
        signatures = " ".join(signer.sign(msg_id=name, timestamp=now, data=body.decode()) for signer in signers)
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures,
            "Content-Type": "application/json",
            "User-Agent": f"PixelBloom/{__version__}",
            "Connection": "close",
        }


def _cut(connection: HTTPConnection, late: threading.Event) -> None:
    """Shut the socket, which wakes a blocked read."""
    late.set()
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, at most MAX_BACKOFF_SECONDS; None if it is invalid.

    The header contains seconds or an HTTP date.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_BACKOFF_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), MAX_BACKOFF_SECONDS)
