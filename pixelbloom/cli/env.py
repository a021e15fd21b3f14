"""`pixelbloom env`: the running stack's settings as KEY=VALUE."""

import re
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import typer

from pixelbloom.cli.connect import api_address
from pixelbloom.cli.output import reported
from pixelbloom.config import STACK_FILE, Settings, load

SECRETS = ("api_jwt_secret", "supabase_jwt_secret", "supabase_service_role_key", "flower_basic_auth")


def register(app: typer.Typer) -> None:
    app.command("env")(env)


@reported
def env(
    secrets: Annotated[bool, typer.Option("--secrets", help="Also print secrets and passwords.")] = False,
) -> None:
    """Print the settings of the running stack. Fails where there is none and the environment names none."""
    settings = load()
    for name, value in (lines(settings, secrets=secrets) | local_keys(settings, secrets=secrets)).items():
        print(f"{name}={value}")


def lines(settings: Settings, *, secrets: bool) -> dict[str, str]:
    """Return the lines to print, in order. Raises ConfigurationError if SUPABASE_URL or REDIS_URL is not set."""
    supabase = settings.require("supabase_url")
    database = settings.database_url.get_secret_value() if settings.database_url else ""
    anon = settings.supabase_anon_key.get_secret_value() if settings.supabase_anon_key else ""
    redis, broker = settings.require("redis_url"), settings.broker_url or ""
    found = {
        "API_URL": api_address(settings),
        "FLOWER_URL": f"http://127.0.0.1:{settings.flower_port}",
        "PORT": str(settings.port),
        "FLOWER_PORT": str(settings.flower_port),
        "PIXELBLOOM_HOME": str(settings.pixelbloom_home.absolute()),
        "SUPABASE_URL": supabase,
        "SUPABASE_REST_URL": settings.supabase_rest_url or f"{supabase}/rest/v1",
        "SUPABASE_ANON_KEY": anon,
        "DATABASE_URL": database if secrets else without_password(database),
        "REDIS_URL": redis if secrets else without_password(redis),
        "BROKER_URL": broker if secrets else ";".join(without_password(url) for url in broker.split(";")),
        "OLLAMA_HOST": settings.ollama_host,
        # For the browser: these hold no secret.
        "VITE_API_URL": api_address(settings),
        "VITE_SUPABASE_URL": supabase,
        "VITE_SUPABASE_PUBLISHABLE_KEY": anon,
    }
    if secrets:
        found |= {
            name.upper(): value.get_secret_value() for name in SECRETS if (value := getattr(settings, name)) is not None
        }
    return {name: value for name, value in found.items() if value}


def local_keys(settings: Settings, *, secrets: bool) -> dict[str, str]:
    """The project's keys in their newer form, where the project is that of the running local stack."""
    from pixelbloom.local import envfile
    from pixelbloom.local.secrets import api_keys

    stack = envfile.read(settings.pixelbloom_home / STACK_FILE)
    # The stack's file has the secret only of the Supabase that the stack started itself.
    local = "SUPABASE_JWT_SECRET" in stack and stack.get("SUPABASE_URL") == settings.supabase_url
    if settings.supabase_jwt_secret is None or not local:
        return {}
    keys = api_keys(settings.supabase_jwt_secret.get_secret_value())
    return keys if secrets else {name: key for name, key in keys.items() if name != "SUPABASE_SECRET_KEY"}


def without_password(url: str) -> str:
    """Return the URL with its passwords masked: that of the server, and that of Sentinels."""
    url = re.sub(r"(?<=[?&]sentinel_password=)[^&]+", "***", url)
    parts = urlsplit(url)
    if not parts.password:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))
