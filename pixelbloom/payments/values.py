"""The one door through which objects of Stripe are read: what is not as Stripe writes it raises MalformedObject."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pixelbloom.errors import PixelBloomError, UpstreamError

_CURRENCY = re.compile(r"[a-z]{3}")
_LARGEST = 10**12
#: The first second after the year 9999, the last that Python and ISO 8601 can write.
_LAST_SECOND = 253_402_300_800


class MalformedObject(UpstreamError):
    """An object of Stripe in a shape that we cannot read."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Read an object of Stripe inside this. Whatever goes wrong there raises MalformedObject, which names `what`."""
    try:
        yield
    except PixelBloomError:
        raise
    except Exception as error:
        raise MalformedObject(f"The object is not as Stripe writes {what}.") from error


def amount(value: object) -> int:
    """Return an amount in the smallest unit, or another count that is not negative. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError("not an amount")
    return value


def owed(value: object) -> int:
    """Return an amount in the smallest unit, and 0 for what a customer has in credit. Raises ValueError."""
    return 0 if isinstance(value, int) and -_LARGEST <= value < 0 else amount(value)


def moment(value: object) -> int:
    """Return seconds since 1970, of a year that a calendar knows. Raises ValueError."""
    seconds = amount(value)
    if seconds >= _LAST_SECOND:
        raise ValueError("not a time")
    return seconds


def optional_moment(value: object) -> int | None:
    return None if value is None else moment(value)


def currency(value: Any) -> str:
    """Return a currency's code in lower case. Raises ValueError."""
    found = str(value.lower())
    if not _CURRENCY.fullmatch(found):
        raise ValueError("not a currency")
    return found


def one_of(known: Sequence[str], value: object) -> str:
    """Return the value where it is a known one. Raises ValueError."""
    if not isinstance(value, str) or value not in known:
        raise ValueError("not known")
    return value


def text(value: object) -> str:
    """Return an id, or another short text of visible ASCII characters. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,255}", value):
        raise ValueError("not an id")
    return value


def address(value: object) -> str:
    """Return a URL of Stripe's pages. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,4000}", value):
        raise ValueError("not an address")
    return value


def reference(value: object) -> str | None:
    """Return an id, also of an object that was expanded in its place. Raises ValueError."""
    if isinstance(value, Mapping):
        value = value["id"]
    return None if value is None else text(value)


def mapping(value: object) -> dict[str, Any]:
    """Return an object; an absent one is empty. Raises ValueError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return dict(value)
