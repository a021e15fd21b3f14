"""Optimistic locking: every row has a version, which is its ETag."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask import Response, jsonify, request

from pixelbloom.errors import Conflict, InvalidInput

#: As `versioned` writes it (a version is a bigint), or with the suffix of compression: `"3:br"` here, `W/"3"` or
#: `"3-gzip"` in a proxy.
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,19})(?:[:-][a-z]{1,10})?"')


def changed(
    row: dict[str, Any],
    changes: Mapping[str, Any],
    change: Callable[[UUID, int, Mapping[str, Any]], dict[str, Any] | None],
) -> dict[str, Any]:
    """Return the row after these changes; `change` applies them only to that version.

    Raises InvalidInput for a malformed If-Match, and Conflict if the row was changed meanwhile.
    """
    seen, version = request.headers.get("If-Match"), row["version"]
    if seen not in (None, "*"):
        found = _ETAG.fullmatch(seen)
        if found is None:
            raise InvalidInput('The header If-Match must be an ETag from a response, like "3".')
        if int(found[1]) != version:
            raise Conflict(f"It was changed meanwhile, to version {version}; read it and try again.")
    if not changes:
        return row
    after = change(UUID(row["id"]), version, changes)
    if after is None:
        raise Conflict("It was changed at the same moment; read it and try again.")
    return after


def versioned(shown: Mapping[str, Any], version: int) -> Response:
    """Return a response about one row, with its ETag."""
    response: Response = jsonify(shown)
    response.headers["ETag"] = f'"{version}"'
    return response
