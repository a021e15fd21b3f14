"""Verifies bearer tokens: first the signature, then every claim."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt

from pixelbloom.auth.jwks import Jwks
from pixelbloom.auth.principal import Principal
from pixelbloom.config import Settings, settings
from pixelbloom.errors import Unauthenticated

AUDIENCE = "authenticated"
USER_ROLES = ("authenticated", "user", "admin")
#: The issuers in service role keys of hosted Supabase and its CLI, instead of the project's issuer.
SERVICE_KEY_ISSUERS = frozenset({"supabase", "supabase-demo"})
#: Seconds by which an issuer's clock may be ahead of ours. `exp` has no such tolerance.
CLOCK_SKEW = 5.0
_LOCAL = ("127.0.0.1", "localhost")
_END_OF_TIME = datetime.max.replace(tzinfo=UTC).timestamp() - 86_400


class Signer(Enum):
    """The owner of the key that made the signature."""

    API = "API_JWT_SECRET"
    SUPABASE = "SUPABASE_JWT_SECRET or its JWKS"


def issuer(supabase_url: str | None) -> str | None:
    """Return the `iss` of the project's tokens, or None if no project is configured."""
    return f"{supabase_url}/auth/v1" if supabase_url else None


def issuers(configured: Iterable[str], supabase_url: str | None) -> tuple[str, ...]:
    """Return every valid `iss` of the project's tokens: SUPABASE_JWT_ISSUER, by default that of SUPABASE_URL.

    For an issuer on this machine, `localhost` and `127.0.0.1` are the same. New tokens use the first.
    """
    default = issuer(supabase_url)
    chosen = tuple(configured) or ((default,) if default else ())
    found: dict[str, None] = dict.fromkeys(chosen)
    for value in chosen:
        parts = urlsplit(value)
        if parts.hostname in _LOCAL:
            port = f":{parts.port}" if parts.port else ""
            found |= dict.fromkeys(parts._replace(netloc=f"{host}{port}").geturl() for host in _LOCAL)
    return tuple(found)


def to_principal(
    claims: Mapping[str, Any], signers: frozenset[Signer], expected_issuers: Collection[str], now: float
) -> Principal:
    """Check every claim and return the caller. Raises Unauthenticated, which names the invalid claim.

    `now` is in seconds since the epoch. `signers` has several members if two secrets are equal.
    """
    expires = _check_times(claims, now)
    role = claims.get("role")
    _check_audience(claims)
    _check_issuer(claims, expected_issuers, role)
    scopes = _scopes(claims)
    if role == "service_role" or (role == "service" and Signer.API in signers):
        return Principal("service", None, admin=True, scopes=scopes, expires_at=expires)
    if role not in USER_ROLES:
        raise Unauthenticated("The token's role is not one of a signed-in user or a service; sign in first.")
    return Principal(
        "user",
        _subject(claims),
        admin=_is_admin(claims),
        scopes=scopes,
        expires_at=expires,
        anonymous=claims.get("is_anonymous") is True,
    )


def _check_times(claims: Mapping[str, Any], now: float) -> datetime:
    expires = _seconds(claims, "exp")
    if expires is None:
        raise Unauthenticated("The token has no exp claim; only tokens that expire are accepted.")
    if expires <= now:
        raise Unauthenticated("The token has expired; sign in again or mint a new one.")
    for name in ("nbf", "iat"):
        start = _seconds(claims, name)
        if start is not None and start > now + CLOCK_SKEW:
            raise Unauthenticated(f"The token is not valid yet: its {name} is in the future.")
    return datetime.fromtimestamp(min(expires, _END_OF_TIME), UTC)


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"The token's {name} is not a number of seconds.")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise Unauthenticated(f"The token's {name} is not a number of seconds.")
    return seconds


def _check_audience(claims: Mapping[str, Any]) -> None:
    if "aud" not in claims:
        return
    audience = claims["aud"]
    if audience != AUDIENCE and not (isinstance(audience, list) and AUDIENCE in audience):
        raise Unauthenticated("The token was made for another audience.")


def _check_issuer(claims: Mapping[str, Any], expected: Collection[str], role: object) -> None:
    if "iss" not in claims:
        return
    value = claims["iss"]
    if not isinstance(value, str) or not value:
        raise Unauthenticated("The token's iss is not a string.")
    if value in expected or (role == "service_role" and value in SERVICE_KEY_ISSUERS):
        return
    raise Unauthenticated("The token comes from another issuer.")


def _scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    if "scope" not in claims:
        return None
    scope = claims["scope"]
    names = scope.split() if isinstance(scope, str) else scope
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unauthenticated("The token's scope is neither a list of names nor a string of them.")
    return frozenset(name for name in names if name.strip())


def _subject(claims: Mapping[str, Any]) -> UUID:
    subject = claims.get("sub")
    try:
        if not isinstance(subject, str) or len(subject) != 36:
            raise ValueError
        return UUID(subject)
    except ValueError:
        raise Unauthenticated("The token's sub is not the UUID of a user.") from None


def _is_admin(claims: Mapping[str, Any]) -> bool:
    """Check `role` and `app_metadata.role`. `user_metadata` is writable by the user and never read."""
    metadata = claims.get("app_metadata")
    return claims.get("role") == "admin" or (isinstance(metadata, dict) and metadata.get("role") == "admin")


#: Longer tokens are rejected unread; Supabase's are about 1 KB.
MAX_TOKEN_LENGTH = 8192
ASYMMETRIC = ("RS256", "ES256")
_BAD_SIGNATURE = "The token does not verify: it is malformed, or was signed with a key we do not know."
#: PyJWT checks the signature; `pixelbloom.auth.tokens` checks every claim.
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
