"""X-Request-ID: the caller's if valid, else a new one; in every response and every log line."""

import re
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

from pixelbloom.telemetry import tracing

HEADER = "X-Request-ID"
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")


def register(app: Flask) -> None:
    """Assign each request its id before anything else handles it."""
    app.before_request(_begin)
    app.after_request(_end)


def current() -> str:
    """Return the id of the current request."""
    request_id: str = g.request_id
    return request_id


def choose(offered: str | None) -> str:
    """Return the caller's id if it is valid (printable, short, no markup), else a new one."""
    return offered if offered and _VALID.fullmatch(offered) else uuid4().hex


def _begin() -> None:
    g.request_id = choose(request.headers.get(HEADER))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    tracing.annotate(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[HEADER] = current()
    return response
