"""`pixelbloom up`: the whole stack in the foreground."""

import typer

from pixelbloom.cli.output import reported
from pixelbloom.config import load


def register(app: typer.Typer) -> None:
    app.command("up")(up)


@reported
def up() -> None:
    """Start Postgres, PostgREST, the Supabase gateway, Redis and PixelBloom's processes, and run them until Ctrl-C."""
    from pixelbloom.local.up import up as start

    start(load(home_files=False))
