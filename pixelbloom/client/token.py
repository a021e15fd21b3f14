"""Tokens as the client handles them: a fixed one, or a function that gives a fresh one."""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable

from pixelbloom.errors import ConfigurationError

Token = str | Callable[[], str]


#: RFC 6750.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def read(token: Token) -> str:
    """Return the token to send now, without blanks around it. Raises ConfigurationError, which never shows it."""
    text = (token() if callable(token) else token).strip()
    if not _TOKEN.fullmatch(text):
        raise ConfigurationError(
            "The token has a line break, a blank or another character that no token has; copy it once more."
        )
    return text


def seconds_left(token: str) -> float | None:
    """Return the seconds until a JWT expires by its own claim, or None without one. Nothing is verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None
