"""Cursors of lists that are ordered by a number or a time, and then by a text."""

import re
from datetime import datetime
from typing import Any

from pixelbloom.errors import InvalidInput
from pixelbloom.runs.service import cursor_time, read_cursor_time

#: Every string of this form is a cursor, so that the API document can describe it.
PAIR_PATTERN = "^[0-9]{16}([0-9a-f]{2}){1,1200}$"
#: Added to a package's position, which may be negative.
_OFFSET = 2**31


def write_position_cursor(row: dict[str, Any]) -> str:
    """Return where a page of packages ended: a position and a name."""
    return f"{row['position'] + _OFFSET:016d}{row['name'].encode().hex()}"


def read_position_cursor(cursor: str) -> tuple[int, str]:
    """Return the position and the name that a cursor stands for. Raises InvalidInput."""
    text = _text(cursor)
    return min(int(cursor[:16]), 2 * _OFFSET - 1) - _OFFSET, text


def write_received_cursor(row: dict[str, Any]) -> str:
    """Return where a page of events ended: the time of receipt, in microseconds since the epoch, and an id."""
    return f"{cursor_time(datetime.fromisoformat(row['received_at']))}{row['id'].encode().hex()}"


def read_received_cursor(cursor: str) -> tuple[str, str]:
    """Return the (received_at, id) that a cursor stands for. Raises InvalidInput."""
    text = _text(cursor)
    return read_cursor_time(cursor), text


def _text(cursor: str) -> str:
    """Return the text after the number. Raises InvalidInput if the cursor is invalid."""
    if not re.fullmatch(PAIR_PATTERN, cursor):
        raise InvalidInput("The cursor has an invalid format; use `next_cursor`, or omit it to start anew.")
    # Text that cannot be in the database is replaced by the nearest that can.
    return bytes.fromhex(cursor[16:]).decode(errors="replace").replace("\0", "")
