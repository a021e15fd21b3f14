"""`pixelbloom serve`, `worker`, `beat` and `flower`: the production processes. `pixelbloom health` probes them."""

import os
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from pixelbloom import health, processes
from pixelbloom.cli.output import reported
from pixelbloom.config import load
from pixelbloom.errors import InvalidInput

#: What follows is for gunicorn or Celery; --help too.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    app.command("serve", context_settings=_PASS_ON)(serve)
    app.command("worker", context_settings=_PASS_ON)(worker)
    app.command("beat", context_settings=_PASS_ON)(beat)
    app.command("flower", context_settings=_PASS_ON)(flower)
    app.command("health")(probe)


@reported
def serve(context: typer.Context) -> None:
    """Run the web tier on PORT of loopback. Options are gunicorn's, like --bind 0.0.0.0:8000 or --workers 4."""
    _become(processes.argv("web", context.args))


@reported
def worker(
    context: typer.Context, role: Annotated[str, typer.Argument(help=", ".join(processes.WORKERS))] = ""
) -> None:
    """Run the worker of a queue. Options are those of `celery worker`, like --concurrency 16 or -n agents2@%h."""
    if role not in processes.WORKERS:
        raise InvalidInput(f"name one of the workers: {', '.join(processes.WORKERS)}")
    _become(processes.argv(role, context.args))


@reported
def beat(context: typer.Context) -> None:
    """Run beat, which starts periodic work. Options are those of `celery beat`."""
    _become(processes.argv("beat", context.args))


@reported
def flower(context: typer.Context) -> None:
    """Run Flower on FLOWER_PORT of loopback. Options are Flower's, like --address=10.0.0.5."""
    address, port = _address(context.args)
    health.serving("flower", (address, port), "/healthcheck")
    _become(processes.argv("flower", [f"--address={address}", f"--port={port}", *context.args]))


@reported
def probe(role: Annotated[str, typer.Argument(help=", ".join(health.ROLES))]) -> None:
    """Exit with 0 if the processes of a role on this machine are well, with 1 if not. For Docker and Kubernetes."""
    raise typer.Exit(health.main([role]))


def _address(options: Sequence[str]) -> tuple[str, int]:
    """Return where Flower will listen: by its options, or by the settings."""
    given = {"address": "127.0.0.1", "port": str(load().flower_port)}
    for number, option in enumerate(options):
        if (match := re.fullmatch(r"--(address|port)=(.*)", option)) is not None:
            given[match[1]] = match[2]
        elif option in ("--address", "--port") and number + 1 < len(options):
            given[option[2:]] = options[number + 1]
    if not given["port"].isdecimal():
        raise InvalidInput("--port must be a number")
    return given["address"], int(given["port"])


def _become(argv: Sequence[str]) -> None:
    """Replace this process, so that signals reach the server itself."""
    os.execv(argv[0], list(argv))  # noqa: S606
