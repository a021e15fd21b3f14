"""Strict parsing of JSON bodies: the content must be storable, and mean the same to every parser."""

import gc
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import orjson
from flask import Request
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from pixelbloom.core.text import unstorable
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.web.http.connections import Reading

MAX_BODY_BYTES = 1024 * 1024
#: The limit of most operations, and the exceptions.
DEFAULT_BODY_BYTES = 64 * 1024
BODY_BYTES = {
    "agents.invoke": MAX_BODY_BYTES,
    "workflow_runs.execute": MAX_BODY_BYTES,
    "workflows.add_workflow": MAX_BODY_BYTES,
    "workflows.validate_workflow": MAX_BODY_BYTES,
    "schedules.add_schedule": MAX_BODY_BYTES,
    "stripe_webhook.receive_event": 256 * 1024,
    "pricing.quote_package": 8 * 1024,
}
MAX_DEPTH = 64
#: Numbers, strings, lists ... in a body. A mebibyte can have 500,000, which take seconds to validate and store.
MAX_VALUES = 20_000
#: Up to this size even the worst body is cheap.
SMALL_BYTES = 8 * 1024
#: A body must arrive within GRACE_SECONDS plus its time at the minimum rate, READ_SECONDS at most.
READ_SECONDS = 30.0
GRACE_SECONDS = 10.0
MIN_BYTES_PER_SECOND = 32 * 1024
#: Maximum length of a field's path in an error.
_MAX_PATH = 200
_MAX_NUMBER = int(1.7e308)
_CONSTANT = re.compile(r"NaN|-?Infinity")


class BodyTooSlow(Exception):
    """A body did not arrive in time."""


class StrictRequest(Request):
    """A request whose `get_json` returns an object or raises InvalidInput, regardless of `silent`."""

    @property
    def body_limit(self) -> int:
        """The largest body, in bytes, that the operation accepts."""
        return BODY_BYTES.get(self.endpoint or "", DEFAULT_BODY_BYTES)

    @property  # type: ignore[misc]
    def max_content_length(self) -> int:  # type: ignore[override]
        """What werkzeug reads: one byte more, because it silently truncates a chunked body at its limit."""
        return self.body_limit + 1

    def get_raw(self) -> bytes:
        """Read the body within the time limit. Raises InvalidInput and RequestEntityTooLarge."""
        limit = self.body_limit
        with reading_in_time(self.environ, limit):
            raw = self.get_data(cache=True)
        if len(raw) > limit:
            raise RequestEntityTooLarge
        return raw

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        if self.mimetype != "application/json":
            raise InvalidInput("Send the body as JSON, with the header Content-Type: application/json.")
        if self.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            raise InvalidInput("Send the body in UTF-8; omit the charset from Content-Type.")
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InvalidInput("Send the body uncompressed, without a Content-Encoding.")
        return parse_object(self.get_raw())


@contextmanager
def reading_in_time(environ: Mapping[str, Any], limit: int) -> Iterator[None]:
    """Limit the total time for reading a body of at most `limit` bytes, by its length.

    Raises InvalidInput if the body arrives too slowly, or its chunks are malformed.
    """
    try:
        if "gunicorn.socket" not in environ:
            yield
            return
        with Reading(read_timeout(environ.get("CONTENT_LENGTH") or "", limit), BodyTooSlow()):
            yield
    except BodyTooSlow:
        raise InvalidInput("The body arrived too slowly; send it without pauses, over a faster connection.") from None
    except ParseException:
        raise InvalidInput("The body's chunked encoding is malformed.") from None


def read_timeout(declared: str, limit: int) -> float:
    """Return the seconds within which a body of at most `limit` bytes must arrive, by its declared length."""
    length = min(int(declared), limit) if declared.isdecimal() else limit
    return min(GRACE_SECONDS + length / MIN_BYTES_PER_SECOND, READ_SECONDS)


def body_was_read(body: Any) -> bool:
    """Return whether gunicorn's `wsgi.input` was read to its end. A body that came with the head is read now."""
    reader = getattr(body, "reader", None)
    if getattr(body, "failed", False):
        return False
    if isinstance(reader, LengthReader):
        if 0 < reader.length <= len(reader.unreader.buf.getvalue()):
            reader.read(reader.length)
        return bool(reader.length == 0)
    return not isinstance(reader, ChunkedReader) or reader.parser is None


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises InvalidInput, which says what is invalid."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The body is not valid UTF-8.") from None
    if len(raw) > SMALL_BYTES:
        _check_cost(raw)
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
        for part in unstorable(value):
            field = part.field[:_MAX_PATH]
            raise InvalidInput(f"{field} {part.message}; remove it.", [FieldError(field, part.message)])
    return value


def _check_cost(raw: bytes) -> None:
    """Reject an expensive body before it is processed value by value in Python."""
    collecting = gc.isenabled()
    # Looking for cycles among half a million new lists costs ten times as much as making them.
    gc.disable()
    try:
        error = _cost(raw)  # returned, not raised: a traceback would hold the values
    finally:
        if collecting:
            gc.enable()
    if error is not None:
        raise error


def _cost(raw: bytes) -> InvalidInput | None:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg:
            raise _too_deep() from None
        if "surrogate" in error.msg:
            raise InvalidInput("The body has a lone surrogate, which is not a character; remove it.") from None
        name = _CONSTANT.match(error.doc, error.pos)
        if name is not None:
            _refuse_constant(name[0])
        if "infinity" in error.msg:
            raise _too_large() from None
        raise InvalidInput(
            f"The body is not valid JSON: {error.msg.partition(':')[0]} at line {error.lineno}, column {error.colno}."
        ) from None
    return _costly(value)


def _costly(value: Any) -> InvalidInput | None:
    level, depth, values = [value] if isinstance(value, dict | list) else [], 0, 1
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return _too_deep()
        inner: list[Any] = []
        for item in level:
            values += len(item)
            if values > MAX_VALUES:
                return InvalidInput(f"The body has more than {MAX_VALUES} values; send less at once.")
            children = item.values() if isinstance(item, dict) else item
            inner += [child for child in children if isinstance(child, dict | list)]
        level = inner
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"The body has {name}, which is not JSON; use null or a finite number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _too_large()
    return number


def _bounded(text: str) -> int:
    number = int(text) if len(text) < 400 else _MAX_NUMBER + 1
    if abs(number) > _MAX_NUMBER:
        raise _too_large()
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("An object in the body has the same key twice; remove one of them.")
    return found


def _too_large() -> InvalidInput:
    return InvalidInput("The body has a number that is too large; it must be below 1.7e308.")


def _too_deep() -> InvalidInput:
    return InvalidInput(f"The body is nested too deeply; at most {MAX_DEPTH} levels are allowed.")


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        children = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for part in children for child in part if isinstance(child, dict | list)]
