"""Creates tokens for the command line and for tests. The web tier only verifies."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import jwt

from pixelbloom.auth.tokens import AUDIENCE, issuers
from pixelbloom.config import Settings

DEFAULT_SECONDS = 3600


def mint_user(
    settings: Settings,
    user_id: UUID,
    *,
    admin: bool = False,
    scopes: Sequence[str] | None = None,
    expires_in: float = DEFAULT_SECONDS,
) -> str:
    """Return a Supabase user token, signed with SUPABASE_JWT_SECRET, which PostgREST accepts too.

    `scopes` None omits the claim: the token is not limited. `expires_in` is in seconds.
    Raises ConfigurationError if the secret is not set.
    """
    claims: dict[str, Any] = {
        "sub": str(user_id),
        "role": "authenticated",
        "aud": AUDIENCE,
        "app_metadata": {"role": "admin"} if admin else {},
        "user_metadata": {},
    }
    return _sign(settings, claims, scopes, expires_in, "supabase_jwt_secret")


def mint_service(
    settings: Settings, *, scopes: Sequence[str] | None = None, expires_in: float = DEFAULT_SECONDS
) -> str:
    """Return a service token, signed with API_JWT_SECRET, which may act for any user or for none.

    Raises ConfigurationError if the secret is not set.
    """
    return _sign(settings, {"sub": "service", "role": "service"}, scopes, expires_in, "api_jwt_secret")


def _sign(
    settings: Settings, claims: dict[str, Any], scopes: Sequence[str] | None, expires_in: float, secret: str
) -> str:
    now = int(time.time())
    claims = {**claims, "iat": now, "exp": int(now + expires_in)}
    accepted = issuers(settings.supabase_jwt_issuer, settings.supabase_url)
    if accepted:
        claims["iss"] = accepted[0]
    if scopes is not None:
        claims["scope"] = list(scopes)
    return jwt.encode(claims, settings.require(secret), algorithm="HS256")
