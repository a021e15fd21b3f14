"""The `pixelbloom` command. Each module here is one command, or a few of one kind."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pixelbloom import __version__, health

if TYPE_CHECKING:
    import typer

#: Each exposes `register(app)`. `up` and `token` must not depend on the imports of the others.
MODULES = (
    "up",
    "migrate",
    "seed",
    "env",
    "keys",
    "reset",
    "doctor",
    "exporter",
    "token",
    "invoke",
    "runs",
    "workflows",
    "catalogue",
    "payments",
    "processes",
)

#: The exit code after an unexpected error, as in sysexits.h.
UNEXPECTED = 70


def build() -> "typer.Typer":
    """The command with all its subcommands."""
    import typer

    app = typer.Typer(
        name="pixelbloom",
        help="Run, call and watch a PixelBloom stack.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").register(app)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command line; exits with its code.

    An unexpected error ends as one line. Its own words are not printed, nor any value: they may hold a token.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["health"]:  # without the imports of the others: orchestrators run it all the time
        raise SystemExit(health.main(arguments[1:]))
    try:
        build()(args=arguments, prog_name="pixelbloom")
    except Exception as error:
        print(unexpected(error, stack=_debugging()), file=sys.stderr, flush=True)
        raise SystemExit(UNEXPECTED) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pixelbloom {__version__}")
        raise SystemExit(0)


def unexpected(error: BaseException, *, stack: bool) -> str:
    """Describe an unexpected error: its type, and with `stack` its lines of code."""
    lines = []
    cause: BaseException | None = error
    while stack and cause is not None:
        lines += [f"{type(cause).__name__}\n", *traceback.format_tb(cause.__traceback__)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    advice = "please report it with these lines" if stack else "PIXELBLOOM_DEBUG=true shows where it happened"
    return f"{''.join(lines)}An unexpected error ({type(error).__name__}): {advice}."


def _debugging() -> bool:
    from pixelbloom.config import load
    from pixelbloom.errors import ConfigurationError

    try:
        return load().pixelbloom_debug
    except ConfigurationError:
        return False
