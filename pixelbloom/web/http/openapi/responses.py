"""The responses of operations, for their `responses=`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel

from pixelbloom.web.http.rendering import Body
from pixelbloom.web.http.schemas import ErrorBody

#: By status, in flask-openapi3's format.
Responses = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]

SCHEMA = "#/components/schemas/"
_JSON = "application/json"
_HEADERS = {
    "ETag": {"description": "The version; send it as If-Match with a change.", "schema": {"type": "string"}},
    "X-Request-ID": {
        "description": "The request's id: the one that was sent if it is valid, else a new one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before the next attempt.", "schema": {"type": "integer"}},
    "Preference-Applied": {"description": "The wait that was granted.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}
#: By status: the name of the shared response, its description, and an example's message and code.
_ERRORS = {
    400: (
        "BadRequest",
        "The input is invalid; `details` names the fields.",
        "Invalid agent_type or input",
        "BAD_REQUEST",
    ),
    401: ("Unauthorized", "No token, or an invalid one.", "The token has expired; sign in again.", "UNAUTHORIZED"),
    403: ("Forbidden", "Signed in, but not allowed.", "A user's token may name only its own user_id.", "FORBIDDEN"),
    404: (
        "NotFound",
        "No such object, or another user's.",
        "There is no such run, or it is not yours.",
        "NOT_FOUND",
    ),
    409: (
        "Conflict",
        "The current state does not allow it, or the Idempotency-Key was used with another body.",
        "The Idempotency-Key was used with another body; use a new key.",
        "CONFLICT",
    ),
    413: (
        "PayloadTooLarge",
        "The body is larger than the operation accepts.",
        "The body is larger than 64 KiB; send less.",
        "PAYLOAD_TOO_LARGE",
    ),
    429: (
        "RateLimited",
        "Too many requests; try again after `Retry-After` seconds.",
        "You may submit 6000 per 1 minute; try again.",
        "RATE_LIMITED",
    ),
    500: (
        "InternalError",
        "An error of the server.",
        "Internal error; to report it, include the request id.",
        "INTERNAL",
    ),
    502: (
        "UpstreamError",
        "Stripe responded with an error.",
        "Stripe returned an error; try again later.",
        "UPSTREAM_ERROR",
    ),
    503: (
        "Unavailable",
        "A part that the server needs is unreachable, or not configured.",
        "The database is unreachable; try again shortly.",
        "UNAVAILABLE",
    ),
}
#: Of operations without input.
_MALFORMED = (
    "MalformedRequest",
    "The request is malformed.",
    "The request is not well-formed HTTP, or its head is too large.",
    "BAD_REQUEST",
)
_ERROR_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

#: The models of all successful responses, by name.
models: dict[str, type[Body]] = {ErrorBody.__name__: ErrorBody}


def success(
    model: type[Body],
    *,
    example: Any = None,
    status: int = 200,
    description: str = "Done.",
    headers: tuple[str, ...] = (),
) -> Responses:
    """Return a JSON response of this model, with the model's example or another one.

    Raises ValueError if two models have the same name.
    """
    if models.setdefault(model.__name__, model) is not model:
        raise ValueError(f"Two models are named {model.__name__}; rename one, names must be unique.")
    return {
        str(status): {
            "description": description,
            "headers": {name: _HEADERS[name] for name in ("X-Request-ID", *headers)},
            "content": {_JSON: {"schema": {"$ref": SCHEMA + model.__name__}, "example": example or example_of(model)}},
        }
    }


def example_of(model: type[Body]) -> Any:
    """Return the example of a model; that of a list without its own has one item."""
    extra: Any = model.model_config.get("openapi_extra", {})
    if "example" in extra:
        return extra["example"]
    if "items" not in model.model_fields:
        raise ValueError(f"{model.__name__} has no example; add one to its model_config.")
    [item] = get_args(model.model_fields["items"].annotation)
    return {"items": [example_of(item)], "next_cursor": None}


def nothing(description: str) -> Responses:
    """Return a 204 response, without a body."""
    return {"204": {"description": description, "headers": {"X-Request-ID": _HEADERS["X-Request-ID"]}}}


def text(description: str, examples: Mapping[str, str]) -> Responses:
    """Return a 200 response in one of these media types, each with an example."""
    return {
        "200": {
            "description": description,
            "headers": {"X-Request-ID": _HEADERS["X-Request-ID"]},
            "content": {kind: {"schema": {"type": "string"}, "example": example} for kind, example in examples.items()},
        }
    }


def failures(*statuses: int) -> Responses:
    """Return the possible errors of an operation, always with 400. The document refers to a shared entry for each."""
    return {str(status): _failure(status, _error(status, statuses)) for status in sorted({400, *statuses})}


def shared() -> dict[str, dict[str, Any]]:
    """Return the errors' entries in `components.responses`, by name."""
    found = {_MALFORMED[0]: _failure(400, _MALFORMED)}
    return found | {error[0]: _failure(status, error) for status, error in _ERRORS.items()}


def _error(status: int, statuses: tuple[int, ...]) -> tuple[str, str, str, str]:
    return _ERRORS[status] if status in statuses else _MALFORMED


def _failure(status: int, error: tuple[str, str, str, str]) -> dict[str, Any]:
    _, description, message, code = error
    return {
        "description": description,
        "headers": {name: _HEADERS[name] for name in ("X-Request-ID", *_ERROR_HEADERS.get(status, ()))},
        "content": {
            _JSON: {"schema": {"$ref": SCHEMA + ErrorBody.__name__}, "example": {"error": message, "code": code}}
        },
    }
