"""Tokens as the client handles them: a fixed one, or a function that gives a fresh one."""

import base64
import binascii
import json
import time
from collections.abc import Callable

Token = str | Callable[[], str]


def read(token: Token) -> str:
    """The token to send now."""
    return token() if callable(token) else token


def seconds_left(token: str) -> float | None:
    """How long a JWT is still valid by its own word, or None where it does not say. Nothing is verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None
