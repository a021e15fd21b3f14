"""Derives each user's webhook secret from the server's, so that none has to be stored."""

import base64
import hashlib
import hmac
from uuid import UUID

from pixelbloom.config import Settings
from pixelbloom.errors import Forbidden, Unavailable

PREFIX = "whsec_"
_PURPOSE = b"pixelbloom: secret of a user's webhooks: "


def current_secret(settings: Settings, user_id: UUID | None) -> str:
    """Return the user's secret. Raises Forbidden without a user, and Unavailable if WEBHOOK_SECRET is missing."""
    if user_id is None:
        raise Forbidden("This secret is a user's; a service verifies webhooks with WEBHOOK_SECRET.")
    if not settings.webhook_secret:
        raise Unavailable("Webhooks are not configured: WEBHOOK_SECRET is missing.")
    return own_secret(settings.webhook_secret[0].get_secret_value(), user_id)


def own_secret(server_secret: str, user_id: UUID) -> str:
    """Return the user's secret in the format of Standard Webhooks. The server's cannot be derived from it."""
    text = server_secret.removeprefix(PREFIX)
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    digest = hmac.new(key, _PURPOSE + str(user_id).encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(digest).decode()
