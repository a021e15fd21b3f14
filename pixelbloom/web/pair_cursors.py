"""Cursors of lists that are ordered by a number or a time, and then by a text."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pixelbloom.errors import InvalidInput
from pixelbloom.store.pages import instant

#: Every text of this form is a cursor, so that the API's description can say what it takes.
PAIR_PATTERN = "^[0-9]{16}([0-9a-f]{2}){1,1200}$"
#: Added to a package's position, which may be negative.
_ABOVE = 2**31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_position_cursor(row: dict[str, Any]) -> str:
    """Return where a page of packages ended: a position and a name."""
    return f"{row['position'] + _ABOVE:016d}{row['name'].encode().hex()}"


def read_position_cursor(cursor: str) -> tuple[int, str]:
    """Return the position and the name that a cursor stands for. Raises InvalidInput."""
    number, text = _read(cursor)
    return min(number, 2 * _ABOVE - 1) - _ABOVE, text


def write_received_cursor(row: dict[str, Any]) -> str:
    """Return where a page of events ended: the time of receipt, in microseconds since the epoch, and an id."""
    moment = datetime.fromisoformat(row["received_at"])
    return f"{(moment - _EPOCH) // timedelta(microseconds=1):016d}{row['id'].encode().hex()}"


def read_received_cursor(cursor: str) -> tuple[str, str]:
    """Return the (received_at, id) that a cursor stands for. Raises InvalidInput."""
    number, text = _read(cursor)
    return instant(_EPOCH + timedelta(microseconds=number)), text


def _read(cursor: str) -> tuple[int, str]:
    if not re.fullmatch(PAIR_PATTERN, cursor):
        raise InvalidInput("The cursor has an invalid format; use `next_cursor`, or leave it out to start anew.")
    # What no text can be in the database stands for the nearest one that can.
    return int(cursor[:16]), bytes.fromhex(cursor[16:]).decode(errors="replace").replace("\0", "")
