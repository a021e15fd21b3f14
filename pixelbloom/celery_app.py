"""The Celery app, configured from celeryconfig.py on first use. The web tier sends tasks by name through it."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from pixelbloom.config import Settings
from pixelbloom.core.sentinels import SCHEMES, SentinelAddress, tls_options
from pixelbloom.runs.status import BROKER_PRIORITY

#: Longer than the longest step, or a running step's message is redelivered.
VISIBILITY_TIMEOUT_SECONDS = 2 * 3600
#: Of Redis. Without one, a publish on a dead connection hangs forever.
_TIMEOUTS = {"socket_timeout": 30.0, "socket_connect_timeout": 2.0}
_SENTINEL_TIMEOUTS = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}


def use_transports(module: str) -> None:
    """Have kombu use the `Transport` and `SentinelTransport` of this module for Redis in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{module}:Transport"))
    TRANSPORT_ALIASES["sentinel"] = f"{module}:SentinelTransport"


use_transports("pixelbloom.broker_transport")
TRANSPORT_ALIASES["amqp"] = "pixelbloom.rabbitmq_transport:Transport"
TRANSPORT_ALIASES["amqps"] = "pixelbloom.rabbitmq_transport:TlsTransport"
app = Celery("pixelbloom")
app.config_from_object("celeryconfig")


def broker_options(settings: Settings) -> dict[str, Any]:
    """Return the settings of Celery that name the broker and how to connect to it.

    It is RabbitMQ if BROKER_URL is set, otherwise Redis. Raises ConfigurationError if neither is set.
    """
    if settings.broker_url is not None:
        return _rabbitmq(settings.broker_url, settings.broker_tls_ca)
    url = settings.require("redis_url")
    options: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        **_TIMEOUTS,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "priority_steps": sorted(BROKER_PRIORITY.values()),
    }
    if urlsplit(url).scheme in SCHEMES:
        address = SentinelAddress.parse(url)
        options |= {
            "master_name": address.master,
            "sentinel_kwargs": {**_SENTINEL_TIMEOUTS, **address.sentinels_options},
        }
    return {
        "broker_url": broker_address(url),
        "broker_use_ssl": broker_tls(url),
        "broker_transport_options": options,
    }


def _rabbitmq(url: str, ca: Path | None) -> dict[str, Any]:
    return {
        "broker_url": url,
        "broker_use_ssl": _amqp_tls(ca) if url.startswith("amqps:") else None,
        "broker_transport_options": {
            "confirm_publish": True,
            # Each node is tried once: who sends in the background tries again, and beat must not hang.
            "max_retries": url.count(";"),
        },
    }


def _amqp_tls(ca: Path | None) -> dict[str, Any]:
    from pixelbloom.rabbitmq_transport import tls

    return tls(None if ca is None else str(ca))


def broker_address(redis_url: str) -> str:
    """Return the broker's URL for kombu, which differs from REDIS_URL for unix sockets and Sentinels."""
    parts = urlsplit(redis_url)
    if parts.scheme in SCHEMES:
        return _sentinels(SentinelAddress.parse(redis_url))
    if parts.scheme != "unix":
        return redis_url
    database = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair).get("db", "0")
    return f"redis+socket://{quote(parts.path)}?virtual_host={database}"


def _sentinels(address: SentinelAddress) -> str:
    """Return a URL of each Sentinel, with the credentials of the master: kombu tries one after the other."""
    login = ""
    if address.username or address.password:
        login = f"{quote(address.username or '', safe='')}:{quote(address.password or '', safe='')}@"
    return ";".join(
        f"sentinel://{login}{f'[{host}]' if ':' in host else host}:{port}/{address.db}"
        for host, port in address.sentinels
    )


_CERT_REQS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


def broker_tls(redis_url: str) -> dict[str, Any] | None:
    """Return the TLS options of a REDIS_URL, for tools that do not parse it (Flower); None without TLS."""
    parts = urlsplit(redis_url)
    if parts.scheme not in ("rediss", "sentinels"):
        return None
    found = tls_options(dict(parse_qsl(parts.query)))
    found["ssl_cert_reqs"] = _CERT_REQS[found["ssl_cert_reqs"]]
    return found
