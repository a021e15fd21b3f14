"""`pixelbloom migrate`: apply the migrations that are missing."""

import psycopg
import typer

from pixelbloom.cli.output import reported, say
from pixelbloom.config import load
from pixelbloom.errors import Unavailable


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate)


@reported
def migrate() -> None:
    """Apply missing migrations to DATABASE_URL, in order, each in a transaction. Safe to repeat."""
    from pixelbloom.database import migrations

    url = load().require("database_url")
    try:
        with migrations.connect(url) as connection:
            applied = migrations.migrate(connection, say=say)
    except psycopg.OperationalError as error:
        raise Unavailable("DATABASE_URL: the database is unreachable; start it, or correct the address") from error
    say(f"{len(applied)} applied" if applied else "nothing to apply")
