"""Access tokens in the form of hosted Supabase."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from pixelbloom.auth.tokens import AUDIENCE
from pixelbloom.local.supabase.accounts import Account
from pixelbloom.local.supabase.errors import AuthError
from pixelbloom.local.supabase.sessions import Session

SECONDS = 3600


@dataclass(frozen=True)
class AccessTokens:
    """Makes and verifies access tokens with the project's secret."""

    secret: str
    issuer: str

    def grant(self, account: Account, session: Session) -> dict[str, Any]:
        """The response of a sign-in: an access token, the refresh token and the user."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": str(account.id),
            "aud": AUDIENCE,
            "exp": now + SECONDS,
            "iat": now,
            "email": account.email or "",
            "phone": "",
            "app_metadata": account.app_metadata,
            "user_metadata": account.user_metadata,
            "role": "authenticated",
            "aal": "aal1",
            "amr": session.amr,
            "session_id": str(session.id),
            "is_anonymous": account.is_anonymous,
        }
        return {
            "access_token": jwt.encode(claims, self.secret, algorithm="HS256"),
            "token_type": "bearer",
            "expires_in": SECONDS,
            "expires_at": now + SECONDS,
            "refresh_token": session.refresh_token,
            "user": account.shown(),
        }

    def read(self, authorization: str | None) -> tuple[UUID, UUID | None]:
        """The ids of the user and of the session in a bearer token. Raises AuthError."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = jwt.decode(
                token.strip(),
                self.secret,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["exp", "sub"]},
            )
            session = claims.get("session_id")
            return UUID(claims["sub"]), None if session is None else UUID(session)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
            message = "invalid JWT: unable to parse or verify signature, or it has expired"
            raise AuthError(403, "bad_jwt", message) from None
