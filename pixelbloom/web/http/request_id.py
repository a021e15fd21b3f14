"""X-Request-ID: the caller's where it is sane, else one of ours; in every answer and every log line."""

import re
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")


def register(app: Flask) -> None:
    """Give each request its id before anything else looks at it."""
    app.before_request(_begin)
    app.after_request(_end)


def current() -> str:
    """The id of the request in hand."""
    request_id: str = g.request_id
    return request_id


def choose(offered: str | None) -> str:
    """The caller's id where it is sane (printable, short, no markup), else a new one."""
    return offered if offered and _SANE.fullmatch(offered) else uuid4().hex


def _begin() -> None:
    g.request_id = choose(request.headers.get(HEADER))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[HEADER] = current()
    return response
