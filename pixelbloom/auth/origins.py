"""The web pages that may use the API: one rule for CORS and for the sockets."""

import re
from urllib.parse import urlsplit

from pixelbloom.config import Settings

#: If CORS_ORIGINS is empty: pages served by this machine to itself, on any port.
LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}


def allows(settings: Settings, origin: str, host: str | None = None) -> bool:
    """Return whether a page of that origin may use the API. Pages of `host`, the request's host, always may."""
    if not settings.cors_origins:
        if LOCAL.fullmatch(origin):
            return True
    elif _normal(origin) in {_normal(allowed) for allowed in settings.cors_origins}:
        return True
    return host is not None and _normal(origin) in (_normal(f"http://{host}"), _normal(f"https://{host}"))


def may_return_to(settings: Settings, url: str) -> bool:
    """Return whether a browser may be redirected to the URL after a payment: only to allowed or configured origins."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "\\" in url:
        return False
    origin = f"{parts.scheme}://{parts.netloc}"
    own = [_normal(own) for own in (settings.stripe_success_url, settings.stripe_cancel_url) if own]
    return allows(settings, origin) or _normal(origin) in own


def _normal(origin: str) -> tuple[str, str, int] | str:
    try:
        parts = urlsplit(origin.lower())
        return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return origin
