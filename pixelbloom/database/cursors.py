"""Cursors: where a page of rows ended, opaque to callers. Every string of a cursor's pattern is a cursor.

Times in cursors are microseconds since the epoch, in 16 digits.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pixelbloom.core.time_zones import iso_utc
from pixelbloom.errors import InvalidInput

#: Of lists that are ordered by a time, newest first, and then by an id.
CURSOR_PATTERN = "^[0-9]{16}[0-9a-f]{32}$"
#: Of lists that are ordered by a number or a time, and then by a text.
PAIR_PATTERN = "^[0-9]{16}([0-9a-f]{2}){1,1200}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Added to a package's position, which may be negative.
_OFFSET = 2**31


def write_cursor(row: Mapping[str, Any], by: str = "created_at") -> str:
    """Return the cursor after a row of a list that is ordered by the time `by`."""
    return f"{_microseconds(row[by])}{UUID(row['id']).hex}"


def read_cursor(cursor: str) -> tuple[str, str]:
    """Return the time and the id of a cursor. Raises InvalidInput."""
    if not re.fullmatch(CURSOR_PATTERN, cursor):
        raise InvalidInput("The cursor is invalid; use `next_cursor`, or omit it to start from the newest.")
    return _time(cursor), str(UUID(cursor[16:]))


def write_position_cursor(row: Mapping[str, Any]) -> str:
    """Return the cursor after a package: its position and its name."""
    return f"{row['position'] + _OFFSET:016d}{row['name'].encode().hex()}"


def read_position_cursor(cursor: str) -> tuple[int, str]:
    """Return the position and the name of a cursor. Raises InvalidInput."""
    text = _text(cursor)
    return min(int(cursor[:16]), 2 * _OFFSET - 1) - _OFFSET, text


def write_received_cursor(row: Mapping[str, Any]) -> str:
    """Return the cursor after an event of Stripe: the time of receipt and its id."""
    return f"{_microseconds(row['received_at'])}{row['id'].encode().hex()}"


def read_received_cursor(cursor: str) -> tuple[str, str]:
    """Return the time of receipt and the id of a cursor. Raises InvalidInput."""
    text = _text(cursor)
    return _time(cursor), text


def _microseconds(moment: str) -> str:
    return f"{(datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1):016d}"


def _time(cursor: str) -> str:
    return iso_utc(_EPOCH + timedelta(microseconds=int(cursor[:16])))


def _text(cursor: str) -> str:
    """Return the text after the number. Raises InvalidInput if the cursor is invalid."""
    if not re.fullmatch(PAIR_PATTERN, cursor):
        raise InvalidInput("The cursor has an invalid format; use `next_cursor`, or omit it to start anew.")
    # Text that cannot be in the database is replaced by the nearest that can.
    return bytes.fromhex(cursor[16:]).decode(errors="replace").replace("\0", "")
