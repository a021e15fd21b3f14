"""`pixelbloom seed`: rows to look at, or to measure on."""

from datetime import UTC, date, datetime
from typing import Annotated

import psycopg
import typer

from pixelbloom.cli.connect import parse_uuid
from pixelbloom.cli.output import reported, result, say
from pixelbloom.config import DEVELOPMENT_USER, load
from pixelbloom.errors import InvalidInput, Unavailable


def register(app: typer.Typer) -> None:
    app.command("seed")(seed)


@reported
def seed(
    number: Annotated[int, typer.Option("--seed", help="The same number gives the same rows.")] = 1,
    user_id: Annotated[str, typer.Option(help="The agency's owner.")] = str(DEVELOPMENT_USER),
    until: Annotated[str | None, typer.Option(help="The last day, like 2026-01-31; today in UTC.")] = None,
    at_scale: Annotated[bool, typer.Option("--scale", help="Many rows, to measure on.")] = False,
    leads: Annotated[int, typer.Option(min=1, help="With --scale: how many.")] = 200_000,
    messages: Annotated[int, typer.Option(min=1, help="With --scale: how many.")] = 1_000_000,
    subscriptions: Annotated[int, typer.Option(min=1, help="With --scale: how many.")] = 50_000,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Fill DATABASE_URL with a demo agency. Safe to repeat: existing rows do not change."""
    from pixelbloom.database import migrations
    from pixelbloom.local.seed import fill
    from pixelbloom.local.seed.plan import Plan
    from pixelbloom.local.supabase import demo

    if number < 0:
        raise InvalidInput(f"--seed {number} is not a number from 0 on")
    plan = Plan(number, _day(until), parse_uuid(user_id, "--user-id"))
    try:
        settings = load()
        with migrations.connect(settings.require("database_url")) as connection:
            if not yes and (there := fill.others(connection, plan.owner)):
                question = f"The database has {there} leads of other users. Add made-up rows to it?"
                if not typer.confirm(question, err=True):
                    raise InvalidInput("nothing was added; pass --yes to add without a question")
            if at_scale:
                added = fill.scale(connection, plan, leads=leads, messages=messages, subscriptions=subscriptions)
            else:
                added = fill.demo(connection, plan)
    except psycopg.errors.UndefinedTable:
        raise InvalidInput(
            "DATABASE_URL: the database has no PixelBloom tables; run `pixelbloom migrate` first"
        ) from None
    except psycopg.OperationalError as error:
        raise Unavailable("DATABASE_URL: the database is unreachable; start it, or correct the address") from error
    result(added)
    say(
        f"owner: {plan.owner}; administrators see the revenue of all its customers"
        if any(added.values())
        else "nothing to add"
    )
    for login in demo.ensure_in(settings):
        say(f"sign in as {login}")


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        if len(text) != 10:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--until {text!r} is not a date like 2026-01-31") from None
