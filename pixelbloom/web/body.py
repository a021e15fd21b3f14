"""JSON bodies, read strictly: what is kept must be storable, and must mean the same to every reader."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from pixelbloom.errors import FieldError, InvalidInput

MAX_BODY_BYTES = 1024 * 1024
#: What werkzeug reads: one byte more, for it cuts a chunked body at its limit without a word.
READ_BYTES = MAX_BODY_BYTES + 1
MAX_DEPTH = 64
#: Longest pause in a body.
READ_SECONDS = 20.0
#: Longest path of a field that an error names.
_MAX_PATH = 200
_LARGEST = int(1.7e308)


class StrictRequest(Request):
    """A request whose `get_json` answers an object or raises InvalidInput, whatever `silent` says."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        if self.mimetype != "application/json":
            raise InvalidInput("Send the body as JSON, with the header Content-Type: application/json.")
        if self.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            raise InvalidInput("Send the body in UTF-8; leave the charset out of Content-Type.")
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InvalidInput("Send the body uncompressed, without a Content-Encoding.")
        try:
            with reading_in_time(self.environ):
                raw = self.get_data(cache=cache)
        except ParseException:
            raise InvalidInput("The body's chunked encoding is broken.") from None
        if len(raw) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        return parse_object(raw)


@contextmanager
def reading_in_time(environ: Mapping[str, Any]) -> Iterator[None]:
    """Let no client hold us by sending a body that never comes: a pause of READ_SECONDS ends the reading."""
    sock = environ.get("gunicorn.socket")
    if sock is None:
        yield
        return
    sock.settimeout(READ_SECONDS)
    try:
        yield
    finally:
        sock.settimeout(None)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in these bytes. Raises InvalidInput, which says what is wrong with them."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The body is not valid UTF-8.") from None
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at").removesuffix(" starting").rstrip(": ")
        raise InvalidInput(
            f"The body is not valid JSON: {what} at line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if b"\\u" in raw:
        _check_text(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"The body has {name}, which is not JSON; use null or a finite number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidInput("The body has a number that is too large; keep it below 1.7e308.")
    return number


def _bounded(text: str) -> int:
    number = int(text) if len(text) < 400 else _LARGEST + 1
    if abs(number) > _LARGEST:
        raise InvalidInput("The body has a number that is too large; keep it below 1.7e308.")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("An object in the body has the same key twice; keep one of them.")
    return found


def _too_deep() -> InvalidInput:
    return InvalidInput(f"The body is nested too deeply; at most {MAX_DEPTH} levels are taken.")


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield str(index), item


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [child for item in level for _, child in _children(item) if isinstance(child, dict | list)]


def _check_text(value: Any) -> None:
    waiting = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            _check_string(path, item)
        for key, child in _children(item):
            if isinstance(item, dict):
                _check_string(path or "body", key)
            waiting.append((f"{path}.{key}" if path else key, child))


def _check_string(path: str, text: str) -> None:
    if "\x00" in text:
        fault = "has a NUL character, which cannot be stored"
    elif any("\ud800" <= char <= "\udfff" for char in text):
        fault = "has half of a surrogate pair, which is no character"
    else:
        return
    path = path[:_MAX_PATH]
    raise InvalidInput(f"{path} {fault}; remove it.", [FieldError(path, fault)])
