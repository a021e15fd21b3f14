"""Session tokens of visitors who are not signed in. They identify no user and are not accepted elsewhere."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt

from pixelbloom.auth.principal import Principal
from pixelbloom.config import Settings

#: Users' tokens, here or at PostgREST, have neither.
ROLE, AUDIENCE = "visitor", "pixelbloom:visitor"
SESSION = timedelta(hours=24)


class VisitorTokens:
    """Creates and verifies visitors' tokens with API_JWT_SECRET."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock

    def begin(self) -> tuple[str, Principal]:
        """Create a session; return its token and its caller. Raises ConfigurationError without API_JWT_SECRET."""
        visitor = _visitor(uuid4(), int(self._clock() + SESSION.total_seconds()))
        claims = {"sub": str(visitor.visitor_id), "role": ROLE, "aud": AUDIENCE, "exp": visitor.expires_at}
        return jwt.encode(claims, self._settings.require("api_jwt_secret"), algorithm="HS256"), visitor

    def read(self, token: str) -> Principal | None:
        """Return the visitor of the token, or None if it is not a visitor's, is not ours or has expired."""
        secret = self._settings.api_jwt_secret
        if secret is None or not self._settings.visitors:
            return None
        try:
            claims = jwt.decode(
                token,
                secret.get_secret_value(),
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["exp", "sub", "aud"], "verify_exp": False},
            )
            visitor = _visitor(UUID(claims["sub"]), int(claims["exp"]))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return visitor if claims.get("role") == ROLE and visitor.expires_at.timestamp() > self._clock() else None


def _visitor(visitor_id: UUID, expires: int) -> Principal:
    return Principal(
        "visitor",
        None,
        admin=False,
        scopes=frozenset(),
        expires_at=datetime.fromtimestamp(expires, UTC),
        visitor_id=visitor_id,
    )
