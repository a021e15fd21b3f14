"""`pixelbloom runs`: show, watch and list."""

import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pixelbloom.cli.connect import connect, parse_uuid
from pixelbloom.cli.invoke import ApiUrl, TokenOption
from pixelbloom.cli.output import literal, reported, result, say
from pixelbloom.cli.watch import watch_run
from pixelbloom.core.time_zones import iso_utc
from pixelbloom.errors import InvalidInput

#: The statuses of the API.
LIMIT, MAX_LIMIT = 50, 200
#: Columns of a terminal from which on a row also has room for the year, the seconds and the model.
WIDE = 110
STATUSES = ("queued", "running", "completed", "failed", "cancelled")

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's request_id.")]
UserId = Annotated[str | None, typer.Option(help="The runs' owner, where the token is made here.")]


def register(app: typer.Typer) -> None:
    runs = typer.Typer(no_args_is_help=True, help="Show, watch, list and control runs.")
    runs.command("show")(show)
    runs.command("watch")(watch)
    runs.command("list")(list_runs)
    runs.command("cancel")(cancel)
    runs.command("retry")(retry)
    runs.command("replay")(replay)
    app.add_typer(runs, name="runs")


@reported
def show(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Print a run with its steps as JSON."""
    run = parse_uuid(run_id, "The run's id")
    with connect(api_url, token, _user(user_id)) as api:
        result(api.run(run))


@reported
def watch(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Show a run live until it ends, then print its result as JSON. Fails where the run failed."""
    run = parse_uuid(run_id, "The run's id")
    with connect(api_url, token, _user(user_id)) as api:
        watch_run(api, run)


@reported
def cancel(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Stop a run. Prints it as JSON."""
    with connect(api_url, token, _user(user_id)) as api:
        result(api.act(parse_uuid(run_id, "The run's id"), "cancel"))


@reported
def retry(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Retry a failed or cancelled run with new attempts. Prints it as JSON."""
    with connect(api_url, token, _user(user_id)) as api:
        result(api.act(parse_uuid(run_id, "The run's id"), "retry"))


@reported
def replay(run_id: RunId, user_id: UserId = None, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Run the same agent again with the same input. Prints the API's response as JSON."""
    with connect(api_url, token, _user(user_id)) as api:
        result(api.act(parse_uuid(run_id, "The run's id"), "replay"))


@reported
def list_runs(
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    agent: Annotated[str | None, typer.Option(help="The agent's type.")] = None,
    created_after: Annotated[str | None, typer.Option(help="ISO 8601, like 2026-01-31 or with a time.")] = None,
    created_before: Annotated[str | None, typer.Option(help="ISO 8601.")] = None,
    limit: Annotated[str, typer.Option(help=f"At most so many, up to {MAX_LIMIT}.")] = str(LIMIT),
    cursor: Annotated[str | None, typer.Option(help="Go on where another page ended: its next_cursor.")] = None,
    fields: Annotated[
        str | None, typer.Option(help="Large fields for the JSON, separated by commas: input, result, steps.output.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON also on a terminal.")] = False,
    user_id: UserId = None,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """List runs, newest first: a table on a terminal, the API's JSON otherwise."""
    if status is not None and status not in STATUSES:
        raise InvalidInput(f"--status {status!r} is not one of: {', '.join(STATUSES)}")
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit[:9]) <= MAX_LIMIT:
        raise InvalidInput(f"--limit {limit!r} is not a number from 1 to {MAX_LIMIT}")
    filters = {
        "status": status,
        "agent_type": agent,
        "created_after": _moment(created_after, "--created-after"),
        "created_before": _moment(created_before, "--created-before"),
        "fields": fields,
    }
    with connect(api_url, token, _user(user_id)) as api:
        page = api.runs(limit=int(limit), cursor=cursor, **filters)
    if as_json or not sys.stdout.isatty():
        result(page)
        return
    if not page["items"]:
        say("No runs.")
        return
    console = Console()
    console.print(table(page["items"], console.width))
    if page["next_cursor"]:
        say(f"More: --cursor {page['next_cursor']}")


def table(items: list[dict[str, Any]], width: int) -> Table:
    """Return a table of the runs for this many columns, one line each from 80 columns on; ids are never cut."""
    wide = width >= WIDE
    grid = Table(box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0))
    grid.add_column("ID", min_width=36, overflow="fold")
    grid.add_column("CREATED", min_width=19 if wide else 11, no_wrap=True)
    grid.add_column("STATUS", min_width=11, no_wrap=True)
    grid.add_column("AGENT", no_wrap=True, max_width=24 if wide else max(width - 61, 8))
    if wide:
        grid.add_column("BY", no_wrap=True, max_width=width - 98)
    for run in items:
        created = datetime.fromisoformat(run["created_at"]).astimezone()
        row = [
            str(run["request_id"]),
            created.strftime("%Y-%m-%d %H:%M:%S" if wide else "%m-%d %H:%M"),
            _status(run),
            str(run["agent_type"]),
            *([str(run["model"] or run["provider"] or "")] if wide else []),
        ]
        grid.add_row(*(literal(text) for text in row))
    return grid


def _status(run: dict[str, Any]) -> str:
    status = str(run["status"])
    return f"{status} {float(run['progress']):.0%}" if status == "running" else status


def _user(user_id: str | None) -> Any:
    return None if user_id is None else parse_uuid(user_id, "--user-id")


def _moment(text: str | None, option: str) -> str | None:
    """Return the time with its zone; one without is in this machine's zone."""
    if text is None:
        return None
    try:
        return iso_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(f"{option} {text!r} is not a time; write it like 2026-01-31T09:00:00Z") from None
