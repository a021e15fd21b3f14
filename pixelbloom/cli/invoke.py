"""`pixelbloom invoke`: submit an agent run, and watch it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer

from pixelbloom.cli.connect import connect, parse_uuid
from pixelbloom.cli.output import reported, result, say
from pixelbloom.cli.watch import watch_run
from pixelbloom.errors import InvalidInput

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
    """Submit an agent run. Prints the API's answer, or with --watch the run's result, as JSON."""
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
    """The JSON object that `--input` means. Raises InvalidInput, on one line."""
    try:
        if source == "-":
            text = sys.stdin.read()
        elif source.startswith("@"):
            text = Path(source[1:]).read_text(encoding="utf-8")
        else:
            text = source
        value = json.loads(text, parse_constant=_no_constant)
    except OSError as error:
        raise InvalidInput(f"--input {source}: cannot read the file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"--input {source}: is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"--input is not JSON: {error.msg.removesuffix(' starting at')} (line {error.lineno}, column {error.colno})"
            + ("" if source == "-" or source.startswith("@") else "; pass a file as @FILE")
        ) from None
    except RecursionError:
        raise InvalidInput("--input is nested too deeply") from None
    except ValueError:
        raise InvalidInput("--input has a number with too many digits") from None
    if not isinstance(value, dict):
        raise InvalidInput('--input is not a JSON object; write it like {"query": "..."}')
    return value


def _no_constant(name: str) -> NoReturn:
    raise InvalidInput(f"--input has a number that JSON cannot carry: {name} is not JSON")
