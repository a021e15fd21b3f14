"""The one place that maps errors to HTTP. Every error has the spec's body."""

import math
from collections.abc import Sequence
from typing import Any

import structlog
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from pixelbloom.errors import FieldError, InvalidInput, PixelBloomError, RateLimited, Unavailable
from pixelbloom.web.http import request_id
from pixelbloom.web.http.body import MAX_BODY_BYTES

log = structlog.get_logger(__name__)

STATUS = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UPSTREAM_ERROR": 502,
    "UNAVAILABLE": 503,
}
_CODE = {status: code for code, status in STATUS.items()}
#: The API has one status for malformed input of any kind.
_AS_BAD_REQUEST = frozenset({406, 408, 411, 412, 414, 415, 416, 417, 422, 428, 431})
RETRY_AFTER_SECONDS = 5.0
_SENTENCES = {
    400: "The request is malformed; check its body, headers and URL.",
    404: "Not found; see /api/docs for the available URLs.",
    405: "Method not allowed; the Allow header lists the allowed methods.",
}


def register(app: Flask) -> None:
    """Install the handlers."""
    app.register_error_handler(PixelBloomError, _on_known)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(Exception, _on_unknown)


def body(code: str, message: str, details: Sequence[FieldError] = ()) -> dict[str, Any]:
    """Return the spec's error body, with `details` if fields are invalid."""
    content: dict[str, Any] = {"error": message, "code": code}
    if details:
        content["details"] = [{"field": error.field, "message": error.message} for error in details]
    return content


def respond(status: int, message: str, details: Sequence[FieldError] = ()) -> Response:
    """Return a response with the spec's error body."""
    code = _CODE.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL")
    response = jsonify(body(code, message, details))
    response.status_code = status
    return response


def _on_known(error: PixelBloomError) -> Response:
    status = STATUS.get(error.code, 500)
    if status == 500:
        return _on_unknown(error)
    response = respond(status, error.message, error.details if isinstance(error, InvalidInput) else ())
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable | RateLimited):
        seconds = RETRY_AFTER_SECONDS if error.retry_after is None else error.retry_after
        response.headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if status >= 500:
        log.warning("request_failed", status=status, reason=error.message)
    return response


def _on_http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    if status >= 500:
        return _on_unknown(error)
    if status in _AS_BAD_REQUEST:
        status = 400
    message = _SENTENCES.get(status, error.description or error.name)
    if status == 413:
        limit = getattr(request, "body_limit", MAX_BODY_BYTES)
        message = f"The body is larger than {limit // 1024} KiB; send less."
    response = respond(status, message)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def _on_unknown(error: Exception) -> Response:
    log.exception("request_crashed", exc_info=error)
    return respond(500, f"Internal error; to report it, include the request id {request_id.current()}.")
