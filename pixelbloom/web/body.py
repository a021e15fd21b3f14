"""JSON bodies, read strictly: what is kept must be storable, and must mean the same to every reader."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from flask import Request
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.web.connections import Reading

MAX_BODY_BYTES = 1024 * 1024
#: What werkzeug reads: one byte more, for it cuts a chunked body at its limit without a word.
READ_BYTES = MAX_BODY_BYTES + 1
MAX_DEPTH = 64
#: A body must arrive within GRACE_SECONDS and its time at the least rate, READ_SECONDS at most.
READ_SECONDS = 30.0
GRACE_SECONDS = 10.0
LEAST_BYTES_PER_SECOND = 32 * 1024
#: Longest path of a field that an error names.
_MAX_PATH = 200
_LARGEST = int(1.7e308)


class BodyTooSlow(Exception):
    """A body did not come in its time."""


class StrictRequest(Request):
    """A request whose `get_json` answers an object or raises InvalidInput, whatever `silent` says."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        if self.mimetype != "application/json":
            raise InvalidInput("Send the body as JSON, with the header Content-Type: application/json.")
        if self.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            raise InvalidInput("Send the body in UTF-8; leave the charset out of Content-Type.")
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InvalidInput("Send the body uncompressed, without a Content-Encoding.")
        with reading_in_time(self.environ):
            raw = self.get_data(cache=cache)
        if len(raw) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        return parse_object(raw)


@contextmanager
def reading_in_time(environ: Mapping[str, Any], limit: int = MAX_BODY_BYTES) -> Iterator[None]:
    """Give a body of at most `limit` bytes so much time in all as its length asks for at the least rate.

    Raises InvalidInput for one that comes too slowly, or whose chunks are malformed.
    """
    try:
        if "gunicorn.socket" not in environ:
            yield
            return
        declared = environ.get("CONTENT_LENGTH") or ""
        length = min(int(declared), limit) if declared.isdecimal() else limit
        with Reading(min(GRACE_SECONDS + length / LEAST_BYTES_PER_SECOND, READ_SECONDS), BodyTooSlow()):
            yield
    except BodyTooSlow:
        raise InvalidInput("The body came too slowly; send it at once, over a faster connection.") from None
    except ParseException:
        raise InvalidInput("The body's chunked encoding is broken.") from None


def body_was_read(body: Any) -> bool:
    """Whether gunicorn's `wsgi.input` has been read to its end. What came with the head is read here and now."""
    reader = getattr(body, "reader", None)
    if getattr(body, "failed", False):
        return False
    if isinstance(reader, LengthReader):
        if 0 < reader.length <= len(reader.unreader.buf.getvalue()):
            reader.read(reader.length)
        return bool(reader.length == 0)
    return not isinstance(reader, ChunkedReader) or reader.parser is None


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
