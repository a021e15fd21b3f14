"""`pixelbloom reset`: remove a local stack's data."""

import shutil
from typing import Annotated

import typer

from pixelbloom.cli.output import reported, say
from pixelbloom.config import load
from pixelbloom.errors import InvalidInput


def register(app: typer.Typer) -> None:
    app.command("reset")(reset)


@reported
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the local stack's database and queue; secrets stay. The next `up` makes new ones."""
    from pixelbloom.local import leftovers, lock
    from pixelbloom.local.home import Home

    home = Home.at(load(home_files=False).pixelbloom_home)
    if not yes and not typer.confirm(f"Remove all data in {home.root}?", err=True):
        raise InvalidInput("nothing was removed; pass --yes to remove without a question")
    with lock.hold(home.lock):
        leftovers.end_recorded(home.records)
        for folder in (home.postgres, home.redis):
            shutil.rmtree(folder, ignore_errors=True)
        home.stripe.unlink(missing_ok=True)
        home.remove_sockets()
    say(f"removed the data in {home.root}; the next start makes a new database")
