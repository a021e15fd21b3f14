"""The Flask application that documents its routes, and its handling of invalid input."""

from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from flask_openapi3 import Info, OpenAPI, Server
from pydantic import ValidationError

import pixelbloom
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.web.http.openapi import guides
from pixelbloom.web.http.openapi.document import complete
from pixelbloom.web.http.queries import DeclaredQueries
from pixelbloom.web.http.rendering import Body
from pixelbloom.web.http.schemas import ErrorBody

_DESCRIPTION = """Agents that run in the background: submit, then poll, wait or watch over a WebSocket.

Every response has an `X-Request-ID`: the one that was sent if it is valid, else a new one. Times are in UTC.
An optional field of a request accepts null, which means the same as omitting it; in an update (PATCH), null clears a
nullable field.

[The sockets and their events](/api/docs/events) ([AsyncAPI](/api/asyncapi.json)). Guides: {guides}.
"""
_BEARER = """A JSON Web Token, sent as `Authorization: Bearer <token>`.

- A signed-in user: the `access_token` of the session, `(await supabase.auth.getSession()).data.session.access_token`.
- On the local stack also: `pixelbloom token --sub <user id>`, for an administrator with `--role admin`.
- A service: `{"role": "service", "exp": ...}` signed with API_JWT_SECRET; locally `pixelbloom token --service`.
- A website's visitor: `POST /api/visitors/sessions`.
"""
#: How to begin an error message, if not with the field's name.
_NAMES = {"cursor": "The cursor"}


class Api(OpenAPI):
    """The application. Its document is made by `document.complete`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._queries = DeclaredQueries(self)

    def dispatch_request(self) -> ResponseReturnValue:
        """Check the query, then call the view. The blueprint's `before_request` functions have run."""
        self._queries.check(request)
        return super().dispatch_request()

    def make_response(self, rv: Any) -> Response:
        """Render what the view returned, a model perhaps."""
        body, *rest = rv if isinstance(rv, tuple) else (rv,)
        if isinstance(body, Body):
            rendered = self.response_class(body.render(), mimetype="application/json")
            rv = (rendered, *rest) if rest else rendered
        return super().make_response(rv)

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        complete(self.spec_json, self)


def make(**options: Any) -> Api:
    """Return an application with this API's title and validation."""
    return Api(
        "pixelbloom.web",
        info=Info(
            title="PixelBloom",
            version=pixelbloom.__version__,
            description=_DESCRIPTION.replace("{guides}", guides.links()),
        ),
        servers=[Server(url="/", description="Where this document comes from.")],
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _BEARER}
        },
        validation_error_status=500,  # every operation declares one, so the library adds none of its own
        validation_error_model=ErrorBody,
        validation_error_callback=refuse,
        doc_ui=False,
        static_folder=None,
        **options,
    )


def refuse(error: ValidationError) -> Response:
    """Raise InvalidInput, which names the fields, for input that the library found invalid."""
    details = [
        FieldError(
            ".".join(str(part)[:100] for part in found["loc"]) or "body",
            _message(found),
        )
        for found in error.errors(include_url=False, include_input=False)[:20]
    ]
    first = details[0]
    raise InvalidInput(f"{_NAMES.get(first.field, first.field)} {first.message}.", details)


def _message(found: Any) -> str:
    if found["loc"] == ("cursor",):
        return "is invalid; use `next_cursor`, or omit it to start from the newest"
    return sentence(found).encode(errors="replace").decode()
