"""A secret for the webhooks of each user, derived from the server's: nothing to store, and nothing to lose."""

import base64
import hashlib
import hmac
from uuid import UUID

PREFIX = "whsec_"
_PURPOSE = b"pixelbloom: secret of a user's webhooks: "


def own_secret(server_secret: str, user_id: UUID) -> str:
    """The user's secret in the form of Standard Webhooks. The server's cannot be computed from it."""
    text = server_secret.removeprefix(PREFIX)
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    digest = hmac.new(key, _PURPOSE + str(user_id).encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(digest).decode()
