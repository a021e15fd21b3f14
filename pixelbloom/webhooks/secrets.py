"""Derives each user's webhook secret from the server's, so that none has to be stored."""

import base64
import hashlib
import hmac
from uuid import UUID

PREFIX = "whsec_"
_PURPOSE = b"pixelbloom: secret of a user's webhooks: "


def own_secret(server_secret: str, user_id: UUID) -> str:
    """Return the user's secret in the format of Standard Webhooks. The server's cannot be derived from it."""
    text = server_secret.removeprefix(PREFIX)
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    digest = hmac.new(key, _PURPOSE + str(user_id).encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(digest).decode()
