"""`pixelbloom migrate`: apply the migrations that are missing."""

from typing import Annotated

import psycopg
import typer

from pixelbloom.cli.output import reported, say
from pixelbloom.config import load
from pixelbloom.errors import Unavailable


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate)


@reported
def migrate(
    bootstrap: Annotated[
        bool,
        typer.Option("--bootstrap", help="First give a plain Postgres what Supabase has: roles, the schema `auth`."),
    ] = False,
    lock_timeout: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds to wait for a table's lock, before trying again.")
    ] = 5.0,
    include_all: Annotated[
        bool, typer.Option("--include-all", help="Apply a missing migration that is older than an applied one too.")
    ] = False,
) -> None:
    """Apply missing migrations to DATABASE_URL, in order, each in a transaction. Safe to repeat."""
    from pixelbloom.database import migrations
    from pixelbloom.database.bootstrap import bootstrap as prepare

    settings = load()
    url = settings.require("database_url")
    password = settings.authenticator_password
    try:
        with migrations.connect(url) as connection:
            if bootstrap:
                prepare(connection, authenticator_password=password.get_secret_value() if password else None)
            applied = migrations.migrate(connection, say=say, lock_seconds=lock_timeout, include_all=include_all)
    except psycopg.OperationalError as error:
        raise Unavailable("DATABASE_URL: the database is unreachable; start it, or correct the address") from error
    say(f"{len(applied)} applied" if applied else "nothing to apply")
