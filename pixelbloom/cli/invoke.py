"""`pixelbloom invoke`: submit an agent run, and watch it."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from pixelbloom.cli.connect import connect, parse_uuid
from pixelbloom.cli.documents import read_object, read_stdin, read_text
from pixelbloom.cli.output import reported, result, say
from pixelbloom.cli.watch import watch_run

ApiUrl = Annotated[str | None, typer.Option("--api-url", help="The API's address. [default: API_URL, or PORT here]")]
TokenOption = Annotated[
    str | None, typer.Option("--token", help="A JWT. [default: PIXELBLOOM_TOKEN, or one made with the local secret]")
]


def register(app: typer.Typer) -> None:
    app.command("invoke")(invoke)


@reported
def invoke(
    agent: Annotated[str, typer.Argument(help="The agent's type, like lead_agent.")],
    input: Annotated[str, typer.Option("--input", help="A JSON object, @FILE, or - for stdin.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show the run live and print its result.")] = False,
    user_id: Annotated[str | None, typer.Option(help="The user that the run is for.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and input give the same run, however often it is sent.")
    ] = None,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Submit an agent run. Prints the API's response, or with --watch the run's result, as JSON."""
    user = parse_uuid(user_id, "--user-id") if user_id is not None else None
    fields = read_input(input)
    with connect(api_url, token, user) as api:
        accepted = api.invoke(agent, fields, user_id=user, idempotency_key=idempotency_key)
        if not watch:
            result(accepted)
            return
        run_id = UUID(accepted["request_id"])
        say(f"run {run_id}")
        watch_run(api, run_id)


def read_input(source: str) -> dict[str, Any]:
    """Return the JSON object of `--input`. Raises InvalidInput with one line."""
    if source == "-":
        return read_object(read_stdin("--input -"), "--input")
    if source.startswith("@"):
        return read_object(read_text(Path(source[1:]), f"--input {source}"), f"--input {source}")
    return read_object(source, "--input", hint="; pass a file as @FILE")
