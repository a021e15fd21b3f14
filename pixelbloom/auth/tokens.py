"""Verifies bearer tokens: first the signature, then the claims."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jwt

from pixelbloom.auth.claims import Signer, issuer, issuers, to_principal
from pixelbloom.auth.jwks import Jwks
from pixelbloom.auth.principal import Principal
from pixelbloom.config import Settings, settings
from pixelbloom.errors import Unauthenticated

#: Longer tokens are rejected unread; Supabase's are about 1 KB.
MAX_TOKEN_LENGTH = 8192
ASYMMETRIC = ("RS256", "ES256")
_BAD_SIGNATURE = "The token does not verify: it is malformed, or was signed with a key we do not know."
#: PyJWT checks the signature; `pixelbloom.auth.claims` checks every claim.
_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    **dict.fromkeys(
        ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"),
        False,
    ),
}


class TokenVerifier:
    """Verifies the three token forms. Safe to share between threads and greenlets."""

    def __init__(self, settings: Settings, *, jwks: Jwks | None = None, clock: Callable[[], float] = time.time) -> None:
        self._secrets: dict[str, set[Signer]] = {}
        for secret, signer in (
            (settings.api_jwt_secret, Signer.API),
            (settings.supabase_jwt_secret, Signer.SUPABASE),
        ):
            if secret is not None and secret.get_secret_value():
                self._secrets.setdefault(secret.get_secret_value(), set()).add(signer)
        self._issuers = issuers(settings.supabase_jwt_issuer, settings.supabase_url)
        self._anonymous = settings.anonymous_users
        project = issuer(settings.supabase_url)
        if jwks is None and project is not None:
            jwks = Jwks(f"{project}/.well-known/jwks.json")
        self._jwks = jwks
        self._clock = clock

    def verify(self, token: str) -> Principal:
        """Return the caller that the token identifies. Raises Unauthenticated; its message never contains the token."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated(_BAD_SIGNATURE)
        header = _header(token)
        algorithm = header.get("alg")
        if algorithm == "HS256":
            claims, signers = self._by_secret(token)
        elif algorithm in ASYMMETRIC:
            claims, signers = self._by_jwks(token, str(algorithm), header.get("kid"))
        else:
            raise Unauthenticated("The token is not signed with HS256, RS256 or ES256.")
        principal = to_principal(claims, frozenset(signers), self._issuers, self._clock())
        if principal.anonymous and self._anonymous == "off":
            raise Unauthenticated("Anonymous users are not accepted here; sign up with an e-mail address.")
        return replace(principal, anonymous=False) if self._anonymous == "full" else principal

    def _by_secret(self, token: str) -> tuple[dict[str, Any], set[Signer]]:
        for secret, signers in self._secrets.items():
            claims = _decode(token, secret, "HS256")
            if claims is not None:
                return claims, signers
        raise Unauthenticated(_BAD_SIGNATURE)

    def _by_jwks(self, token: str, algorithm: str, kid: object) -> tuple[dict[str, Any], set[Signer]]:
        if self._jwks is not None and (kid is None or isinstance(kid, str)):
            for key in self._jwks.keys(kid, algorithm):
                claims = _decode(token, key, algorithm)
                if claims is not None:
                    return claims, {Signer.SUPABASE}
        raise Unauthenticated(_BAD_SIGNATURE)


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthenticated(_BAD_SIGNATURE) from None


def _decode(token: str, key: Any, algorithm: str) -> dict[str, Any] | None:
    """Return the claims, or None if this key did not sign the token with this algorithm."""
    try:
        return jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None


@cache
def _process_verifier() -> TokenVerifier:
    return TokenVerifier(settings())


def verify_supabase_token(token: str) -> Principal:
    """Verify a token with the process's settings, as the spec's sockets do. Raises Unauthenticated."""
    return _process_verifier().verify(token)
