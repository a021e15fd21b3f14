"""The output of commands: only results to stdout, messages for people to stderr."""

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from pixelbloom.client.errors import ApiError, SocketRejected
from pixelbloom.errors import ConfigurationError, InvalidInput, PixelBloomError

P = ParamSpec("P")

#: Exit codes. FAILED is a run that failed or a part that is down, UNREACHABLE an API that refused or was unreachable.
FAILED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

#: A model's text may hold escape sequences, which must not reach the reader's terminal.
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def err() -> Console:
    """The console on stderr; made anew each time, as tests and pipes change it."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print one line for people."""
    print(printable(line), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return the text without control characters and unpaired surrogates."""
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode()


def literal(text: str) -> Text:
    """Escape external text for a Rich table."""
    return Text(printable(text))


def unstopped(sentence: str) -> str:
    """Return the sentence without its full stop, to continue it."""
    return sentence if sentence.endswith("..") else sentence.removesuffix(".")


def result(value: Any) -> None:
    """Print the command's result as JSON on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        clean = not any(ord(char) in _CONTROLS for char in text)
    except UnicodeEncodeError:
        clean = False
    print(text if clean else json.dumps(value, indent=2), flush=True)


def fail(message: str, exit_code: int) -> NoReturn:
    """End the command with one clear line."""
    say(message)
    raise typer.Exit(exit_code)


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """A command that reports errors as one line and an exit code, never as a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (ConfigurationError, InvalidInput) as error:
            fail(error.message, USAGE)
        except (ApiError, SocketRejected) as error:
            fail(_line(error), UNREACHABLE)
        except PixelBloomError as error:
            fail(error.message, UNREACHABLE)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader closed the pipe, as `head` does; Python would report it again at exit.
            sys.stderr.close()
            raise typer.Exit(FAILED) from None

    return run


def _line(error: ApiError | SocketRejected) -> str:
    if isinstance(error, SocketRejected):
        return error.message
    invalid = "".join(f"; {detail.field}: {unstopped(detail.message)}" for detail in error.details)
    found_by = f" (request {error.request_id})" if error.request_id and error.status >= 500 else ""
    return f"{unstopped(error.message) if invalid or found_by else error.message}{invalid}{found_by}"
