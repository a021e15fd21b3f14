"""`pixelbloom keys`: the secrets of a deployment without a Supabase project."""

import secrets

import typer

from pixelbloom.cli.output import reported
from pixelbloom.config import load

PASSWORD_BYTES = 24
#: The ones that are printed as they are set, if they are.
GIVEN = ("API_JWT_SECRET", "SUPABASE_JWT_SECRET", "FLOWER_BASIC_AUTH", "AUTHENTICATOR_PASSWORD")


def register(app: typer.Typer) -> None:
    app.command("keys")(keys)


@reported
def keys() -> None:
    """Print the secrets of a self-hosted deployment as KEY=VALUE: those that are set, and new ones for the others.

    The keys of the API roles belong to SUPABASE_JWT_SECRET, which PostgREST must be given too.
    """
    from pixelbloom.local.preconditions import given
    from pixelbloom.local.secrets import completed, project_keys

    settings = load(home_files=False)
    values = completed({name: value for name in GIVEN if (value := given(settings, name))})
    values.setdefault("AUTHENTICATOR_PASSWORD", secrets.token_urlsafe(PASSWORD_BYTES))
    values |= project_keys(values["SUPABASE_JWT_SECRET"])
    for name, value in sorted(values.items()):
        print(f"{name}={value}")
