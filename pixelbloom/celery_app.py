"""The Celery app, configured from celeryconfig.py on first use. The web tier sends tasks by name through it."""

import ssl
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES


def use_transport(path: str) -> None:
    """Have kombu use this class, `module:Class`, for Redis in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), path))


use_transport("pixelbloom.broker_transport:Transport")
app = Celery("pixelbloom")
app.config_from_object("celeryconfig")


def broker_address(redis_url: str) -> str:
    """Return the broker's URL for kombu, which differs from redis-py's only for unix sockets."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair).get("db", "0")
    return f"redis+socket://{quote(parts.path)}?virtual_host={database}"


_CERT_REQS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


def broker_tls(redis_url: str) -> dict[str, Any] | None:
    """Return the TLS options of a `rediss://` URL, for tools that do not parse it (Flower); None without TLS."""
    parts = urlsplit(redis_url)
    if parts.scheme != "rediss":
        return None
    found: dict[str, Any] = {name: value for name, value in parse_qsl(parts.query) if name.startswith("ssl_")}
    found["ssl_cert_reqs"] = _CERT_REQS[found["ssl_cert_reqs"]]
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() != "false"
    return found
