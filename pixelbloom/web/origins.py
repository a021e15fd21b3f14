"""Which web pages may use the API: one rule for CORS and for the sockets."""

import re
from urllib.parse import urlsplit

from pixelbloom.config import Settings

#: Where CORS_ORIGINS is empty: pages served by this machine to itself, on any port.
LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}


def allows(settings: Settings, origin: str, host: str | None = None) -> bool:
    """Whether a page of that origin may talk to us. `host` is the request's own, whose pages always may."""
    if not settings.cors_origins:
        if LOCAL.fullmatch(origin):
            return True
    elif _normal(origin) in {_normal(allowed) for allowed in settings.cors_origins}:
        return True
    return host is not None and _normal(origin) in (_normal(f"http://{host}"), _normal(f"https://{host}"))


def _normal(origin: str) -> tuple[str, str, int] | str:
    try:
        parts = urlsplit(origin.lower())
        return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return origin
