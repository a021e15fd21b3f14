"""The `pixelbloom` command. Each module here is one command, or a few of one kind."""

import importlib
import sys
from collections.abc import Sequence

import typer

#: Each exposes `register(app)`. `up` and `token` must not wait for what the others import, nor fail with it.
MODULES = ("up", "migrate", "seed", "env", "reset", "doctor", "token", "invoke", "runs", "workflows", "payments")


def build() -> typer.Typer:
    """The command with all its subcommands."""
    app = typer.Typer(
        name="pixelbloom",
        help="Run, call and watch a PixelBloom stack.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").register(app)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command line; exits with its code."""
    build()(args=list(sys.argv[1:] if argv is None else argv), prog_name="pixelbloom")
