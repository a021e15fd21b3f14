"""Turns the claims of a token with a valid signature into a `Principal`."""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pixelbloom.auth.principal import Principal
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
