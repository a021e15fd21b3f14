"""Headers that operations read, for their `openapi_extensions=headers(...)`."""

from typing import Any

#: Of a change that must not overwrite another one.
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version that you read; if the version differs, the response "
    "is 409. `*` or no header for any version.",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,9}([:-][a-z]{1,10})?")$'},
    "example": '"3"',
}
PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N`: respond when the run has ended, or after N seconds (1 to 60).",
    "schema": {"type": "string"},
    "example": "wait=2",
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters. A repeated request with the same key and body creates nothing "
    "new and returns what the first one created.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The `id` of the last event that was received: the stream continues after it. EventSource sends it.",
    "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}:[0-9]{1,15}$"},
    "example": "k3f9:7",
}
#: Of every request that creates a run.
SUBMISSION = (PREFER, IDEMPOTENCY_KEY)
#: Stores them for `document.complete`: the library drops parameters other than those of a path or query.
EXTENSION = "x-headers"


def headers(*parameters: dict[str, Any]) -> dict[str, Any]:
    """Declare that an operation reads these headers."""
    return {EXTENSION: list(parameters)}
