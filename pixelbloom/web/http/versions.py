"""Optimistic locking: every row has a version, which is its ETag."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask import request

from pixelbloom.errors import Conflict, InvalidInput

#: A version is a bigint. Compression adds a suffix to the ETag: `3:br` here, `3-gzip` in a proxy.
_VERSION = re.compile(r"([0-9]{1,19})(?:[:-][a-z]{1,10})?")


def changed(
    row: dict[str, Any],
    changes: Mapping[str, Any],
    change: Callable[[UUID, int, Mapping[str, Any]], dict[str, Any] | None],
) -> dict[str, Any]:
    """Return the row after these changes; `change` applies them only to that version.

    Raises InvalidInput for a malformed If-Match, and Conflict if the row was changed meanwhile.
    """
    version = row["version"]
    if _seen() not in (None, version):
        raise Conflict(f"It was changed meanwhile, to version {version}; read it and try again.")
    if not changes:
        return row
    after = change(UUID(row["id"]), version, changes)
    if after is None:
        raise Conflict("It was changed at the same moment; read it and try again.")
    return after


def _seen() -> int | None:
    """Return the version in If-Match, or None for any version. Raises InvalidInput."""
    header, tags = request.headers.get("If-Match"), request.if_match
    if header in (None, "*"):
        return None
    [tag, *others] = tags.as_set(include_weak=True) or {""}
    found = _VERSION.fullmatch(tag or "")
    if found is None or others or tags.to_header() != header:
        raise InvalidInput('The header If-Match must be an ETag from a response, like "3".')
    return int(found[1])
