"""JSON that people pass to a command, read as strictly as the API reads it."""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from pixelbloom.core.textfile import NotText, decoded
from pixelbloom.errors import InvalidInput


def read_text(path: Path, name: str) -> str:
    """Read the text of a file. Raises InvalidInput with one line that begins with `name`."""
    try:
        return decoded(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{name}: cannot read the file ({error.strerror})") from None
    except NotText as error:
        raise InvalidInput(f"{name}: {error}") from None


def read_stdin(name: str) -> str:
    """Read the text on stdin. Raises InvalidInput."""
    try:
        return decoded(sys.stdin.buffer.read())
    except NotText as error:
        raise InvalidInput(f"{name}: {error}") from None


def read_object(text: str, name: str, *, hint: str = "", example: str = '{"query": "..."}') -> dict[str, Any]:
    """Parse the JSON object in the text. Raises InvalidInput with one line that begins with `name`."""

    def constant(word: str) -> NoReturn:
        raise InvalidInput(f"{name} has a number that JSON cannot carry: {word} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InvalidInput(f"{name} has the key {key[:100]!r} twice in an object; remove one of them")
            found[key] = value
        return found

    try:
        value = json.loads(text.removeprefix("\ufeff"), parse_constant=constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" starting at")
        raise InvalidInput(f"{name} is not JSON: {what} (line {error.lineno}, column {error.colno}){hint}") from None
    except RecursionError:
        raise InvalidInput(f"{name} is nested too deeply") from None
    except ValueError:
        raise InvalidInput(f"{name} has a number with too many digits") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is not a JSON object; write it like {example}")
    return value
