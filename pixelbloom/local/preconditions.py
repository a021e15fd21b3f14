"""Checks before the stack starts: the given settings, and the ports."""

import contextlib
import socket

import jwt
from pydantic import SecretStr

from pixelbloom.config import Settings
from pixelbloom.errors import ConfigurationError
from pixelbloom.local import model as local_model


def check_given(settings: Settings) -> None:
    """Raise ConfigurationError if a given Supabase lacks its key, or a key or an address its Supabase."""
    if settings.pixelbloom_stripe == "local" and settings.stripe_api_key is not None:
        raise ConfigurationError("PIXELBLOOM_STRIPE is local and STRIPE_API_KEY is set: unset one of them")
    local_model.check(settings)
    if settings.supabase_url is not None:
        settings.require("supabase_service_role_key")
        return
    for name, what in (("SUPABASE_REST_URL", "PostgREST"), ("DATABASE_URL", "Postgres")):
        if getattr(settings, name.lower()) is not None:
            raise ConfigurationError(
                f"{name} is set and SUPABASE_URL is not: set both, or neither for the embedded {what}"
            )
    for name in ("supabase_service_role_key", "supabase_anon_key"):
        _check_local_key(settings, name)


def check_ports(settings: Settings) -> None:
    """Raise ConfigurationError with the variable and the port in use."""
    if settings.port == settings.flower_port:
        raise ConfigurationError(f"FLOWER_PORT: {settings.port} is also PORT; set one of them to another port")
    ports = [("PORT", settings.port), ("FLOWER_PORT", settings.flower_port)]
    if settings.pixelbloom_stripe == "local":
        ports.append(("STRIPE_PORT", settings.stripe_port))
    if settings.pixelbloom_model == "local":
        ports.append(("MODEL_PORT", settings.model_port))
    for name, port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ConfigurationError(
                    f"{name}: port {port} cannot be used ({error.strerror}); stop what uses it, or set another {name}"
                ) from None


def _check_local_key(settings: Settings, name: str) -> None:
    """Raise ConfigurationError if a given key is not signed with the given secret: PostgREST would refuse it."""
    key, secret = given(settings, name.upper()), given(settings, "SUPABASE_JWT_SECRET")
    if key is None:
        return
    if secret is not None:
        with contextlib.suppress(jwt.InvalidTokenError, jwt.InvalidKeyError):
            jwt.decode(key, secret, algorithms=["HS256"], options={"verify_aud": False})
            return
    raise ConfigurationError(
        f"{name.upper()} is set, SUPABASE_URL is not, and it is not signed with SUPABASE_JWT_SECRET: "
        "set SUPABASE_URL to the project it belongs to, or leave all three unset"
    )


def given(settings: Settings, name: str) -> str | None:
    """Return the text of a setting, also of a secret one; None if it is not set."""
    value = getattr(settings, name.lower())
    if not value:
        return None
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
