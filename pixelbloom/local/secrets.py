"""The secrets of a stack: those of the local one are made once and stored in its home."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import jwt

from pixelbloom.local import envfile

SECRET_BYTES = 48
FLOWER_USER, FLOWER_PASSWORD_BYTES = "pixelbloom", 18
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600


def ensure(path: Path) -> dict[str, str]:
    """Return the secrets in the file, made and stored where missing. Each key belongs to the JWT secret beside it."""
    stored = envfile.read(path)
    values = completed(stored)
    if values["SUPABASE_JWT_SECRET"] != stored.get("SUPABASE_JWT_SECRET") or not {
        "SUPABASE_ANON_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
    } <= set(stored):
        values |= project_keys(values["SUPABASE_JWT_SECRET"])
    if values != stored:
        envfile.write(path, values)
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return values


def completed(given: Mapping[str, str]) -> dict[str, str]:
    """Return the given secrets, with new ones for those that are missing; without the keys of the project."""
    values = dict(given)
    for name in ("API_JWT_SECRET", "SUPABASE_JWT_SECRET"):
        values.setdefault(name, secrets.token_urlsafe(SECRET_BYTES))
    values.setdefault("WEBHOOK_SECRET", f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    values.setdefault("FLOWER_BASIC_AUTH", f"{FLOWER_USER}:{secrets.token_urlsafe(FLOWER_PASSWORD_BYTES)}")
    return values


def project_keys(jwt_secret: str) -> dict[str, str]:
    """Return the two keys of a Supabase project: tokens with a role and no user."""
    issued = int(time.time())
    return {
        name: jwt.encode(
            {"iss": "supabase", "role": role, "iat": issued, "exp": issued + TEN_YEARS_SECONDS},
            jwt_secret,
            algorithm="HS256",
        )
        for name, role in (("SUPABASE_ANON_KEY", "anon"), ("SUPABASE_SERVICE_ROLE_KEY", "service_role"))
    }


def api_keys(jwt_secret: str) -> dict[str, str]:
    """Return the two keys of a project in the newer form, which are not tokens. The local gateway derives them too."""

    def key(kind: str) -> str:
        digest = hmac.new(jwt_secret.encode(), f"sb_{kind}".encode(), hashlib.sha256).digest()
        return f"sb_{kind}_{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    return {"SUPABASE_PUBLISHABLE_KEY": key("publishable"), "SUPABASE_SECRET_KEY": key("secret")}
