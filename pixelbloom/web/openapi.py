"""The API's description of itself: OpenAPI 3.1 from the routes, and a docs page that needs no other server."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue
from flask_openapi3 import Info, OpenAPI, Server
from flask_openapi3_swagger.plugins import RegisterPlugin
from flask_openapi3_swagger.templates import swagger_html_string
from pydantic import BaseModel, ValidationError

import pixelbloom
from pixelbloom.agents import registry
from pixelbloom.agents.described import text_pattern
from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.faults import sentence
from pixelbloom.web import (
    analytics_schemas,
    conversation_schemas,
    lead_schemas,
    me_schemas,
    notification_schemas,
    payment_schemas,
    pricing_admin_schemas,
    pricing_schemas,
    run_schemas,
    schedule_schemas,
    schemas,
    workflow_schemas,
)
from pixelbloom.web.queries import DeclaredQueries
from pixelbloom.web.schemas import ErrorBody

DOCUMENT_URL = "/api/openapi.json"
DOCS_URL = "/api/docs"
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]
#: The header of a change that must not undo another one.
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version that you saw; with another one there the answer is 409.",
    "schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,9}([:-][a-z]{1,10})?"$'},
}
#: By status, as flask-openapi3 takes them.
Responses = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]
_SHAPES = (
    schemas,
    run_schemas,
    workflow_schemas,
    schedule_schemas,
    analytics_schemas,
    me_schemas,
    lead_schemas,
    conversation_schemas,
    notification_schemas,
    pricing_schemas,
    pricing_admin_schemas,
    payment_schemas,
)
_REF = "#/components/schemas/"
#: The page's own scripts and styles, and nothing from elsewhere.
#: Of the one style element that Swagger UI adds by script, in its logo.
_LOGO_STYLE = "sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w="
#: With the nonce of the page's own script and style.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}' '{logo}'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_TEXT = {"type": "string", "pattern": text_pattern(0)}
#: Any JSON but for NUL characters, which Postgres cannot keep.
_STORABLE: dict[str, dict[str, Any]] = {
    "StorableObject": {
        "type": "object",
        "propertyNames": _TEXT,
        "additionalProperties": {"$ref": f"{_REF}StorableValue"},
    },
    "StorableValue": {
        "anyOf": [
            {"type": ["null", "boolean", "number"]},
            _TEXT,
            {"type": "array", "items": {"$ref": f"{_REF}StorableValue"}},
            {"$ref": f"{_REF}StorableObject"},
        ]
    },
}
_ERRORS = {
    400: ("The input cannot be taken; `details` names the fields.", "Invalid agent_type or input", "BAD_REQUEST"),
    401: ("No token, or one that does not verify.", "The token has expired; sign in again.", "UNAUTHORIZED"),
    403: ("Verified, but not allowed.", "A user's token may name only its own user_id.", "FORBIDDEN"),
    404: ("No such thing, or not yours.", "There is no such run, or it is not yours.", "NOT_FOUND"),
    409: ("The state does not allow it, or the Idempotency-Key came with another body.", "Use a new key.", "CONFLICT"),
    413: (
        "The body is larger than the operation takes.",
        "The body is larger than 64 KiB; send less.",
        "PAYLOAD_TOO_LARGE",
    ),
    429: ("More than RUN_RATE_LIMIT.", "You may submit 6000 per 1 minute; try again.", "RATE_LIMITED"),
    500: ("Our fault.", "Something went wrong on our side; give the request id.", "INTERNAL"),
    502: ("Stripe answered badly.", "Stripe answered with an error; try again later.", "UPSTREAM_ERROR"),
    503: ("A part we need does not answer now.", "The database does not answer; try again shortly.", "UNAVAILABLE"),
}
#: What begins a sentence where the field's bare name would not.
_NAMES = {"cursor": "The cursor"}
#: What any request may meet, whatever it asks for: it is told before anything reads what it wants.
_MALFORMED = (
    "The request is malformed.",
    "The request is not well-formed HTTP, or its head is too large.",
    "BAD_REQUEST",
)
_HEADERS = {
    "ETag": {"description": "The version; give it as If-Match with a change.", "schema": {"type": "string"}},
    "X-Request-ID": {
        "description": "The request's id: yours where it was sane, else ours.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    "Preference-Applied": {"description": "The wait that was honoured.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}


def success(
    model: type[BaseModel],
    example: Any,
    *,
    status: int = 200,
    description: str = "Done.",
    headers: tuple[str, ...] = (),
) -> Responses:
    """A response of this shape, with an example."""
    return {
        str(status): {
            "description": description,
            "headers": {name: _HEADERS[name] for name in ("X-Request-ID", *headers)},
            "content": {
                "application/json": {"schema": {"$ref": _REF + model.__name__}, "example": example},
            },
        }
    }


def nothing(description: str) -> Responses:
    """204, without a body."""
    return {"204": {"description": description, "headers": {"X-Request-ID": _HEADERS["X-Request-ID"]}}}


def text(description: str, examples: Mapping[str, str]) -> Responses:
    """200 in one of these media types, each with an example."""
    return {
        "200": {
            "description": description,
            "headers": {"X-Request-ID": _HEADERS["X-Request-ID"]},
            "content": {kind: {"schema": {"type": "string"}, "example": said} for kind, said in examples.items()},
        }
    }


def failures(*statuses: int) -> Responses:
    """The errors an operation may end in, each with the spec's body and an example; 400 is always one of them."""
    found: Responses = {}
    for status in sorted({400, *statuses}):
        description, said, code = _ERRORS[status] if status in statuses else _MALFORMED
        extra = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ())
        found |= success(
            ErrorBody, {"error": said, "code": code}, status=status, description=description, headers=extra
        )
    return found


class Api(OpenAPI):
    """The application. Its document also holds the models of all responses and the agents' input schemas."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._queries = DeclaredQueries(self)

    def dispatch_request(self) -> ResponseReturnValue:
        """Call the view. What a blueprint does before its requests, such as verifying the token, has been done."""
        self._queries.check(request)
        return super().dispatch_request()

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        document = self.spec_json
        found = document["components"]["schemas"]
        for model in (model for module in _SHAPES for model in vars(module).values()):
            if isinstance(model, type) and issubclass(model, schemas.Shape) and model is not schemas.InvokeRequest:
                _add_model(found, model)
        _describe_invocations(document)
        for name in (
            "LeadRequest",
            "LeadChanges",
            "BroadcastRequest",
            "ConversationRequest",
            "ConversationChanges",
            "MessageRequest",
        ):
            metadata = found[name]["properties"]["metadata"]
            found[name]["properties"]["metadata"] = {**metadata, **_STORABLE["StorableObject"]}
        found["RetryRequest"]["properties"]["agent_type"] = {
            **found["RetryRequest"]["properties"]["agent_type"],
            "enum": [*(agent.agent_type for agent in registry.all()), None],
        }
        for path in document["paths"].values():
            for operation in path.values():
                for parameter in operation.get("parameters", ()):
                    _describe_parameter(parameter)


def _describe_parameter(parameter: dict[str, Any]) -> None:
    """A parameter is there or not, never null; and the agents are known by name."""
    schema = parameter["schema"]
    choices = [choice for choice in schema.pop("anyOf", ()) if choice.get("type") != "null"]
    for choice in choices:
        schema |= choice
    schema.pop("title", None)
    if parameter["name"] == "agent_type" and parameter["in"] == "query":
        schema["enum"] = [agent.agent_type for agent in registry.all()]


def _add_model(found: dict[str, Any], model: type[schemas.Shape]) -> None:
    """Under its name; of the parameters' shapes only what they refer to."""
    schema = dict(model.model_json_schema(ref_template=_REF + "{model}", mode="serialization"))
    found |= schema.pop("$defs", {})
    if not model.__name__.endswith(("Query", "Path")):
        found[model.__name__] = schema


def _describe_invocations(document: dict[str, Any]) -> None:
    """One variant an agent, so that a reader and a generated client see what `input` each of them takes."""
    found = document["components"]["schemas"]
    general = found["InvokeRequest"]
    found |= _STORABLE
    variants, mapping = [], {}
    for agent in registry.all():
        name = "".join(part.title() for part in agent.agent_type.split("_"))
        inputs = agent.input.model_json_schema(ref_template=_REF + name + "{model}")
        for inner, schema in inputs.pop("$defs", {}).items():
            found[name + inner] = schema
        found[f"{name}Input"] = inputs
        found[f"Invoke{name}"] = {
            "type": "object",
            "title": agent.title,
            "description": agent.description,
            "properties": {
                **general["properties"],
                "metadata": {**general["properties"]["metadata"], **_STORABLE["StorableObject"]},
                "agent_type": {"type": "string", "const": agent.agent_type},
                "input": {"$ref": f"{_REF}{name}Input"},
            },
            "required": general["required"],
            "additionalProperties": False,
        }
        variants.append({"$ref": f"{_REF}Invoke{name}"})
        mapping[agent.agent_type] = f"{_REF}Invoke{name}"
    found["InvokeRequest"] = {
        "oneOf": variants,
        "discriminator": {"propertyName": "agent_type", "mapping": mapping},
    }


def make(**options: Any) -> Api:
    """An application with this API's title and rules of validation."""
    return Api(
        "pixelbloom.web",
        info=Info(
            title="PixelBloom",
            version=pixelbloom.__version__,
            description="Agents that run in the background: submit, then poll, wait or watch over the WebSocket.",
        ),
        servers=[Server(url="/", description="Where this document comes from.")],
        security_schemes={"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        validation_error_status=500,  # every operation declares one, so the library adds none of its own
        validation_error_model=ErrorBody,
        validation_error_callback=refuse,
        doc_ui=False,
        static_folder=None,
        **options,
    )


def refuse(error: ValidationError) -> Response:
    """What the library does with input that breaks a shape: our error, which names the fields."""
    faults = [
        FieldError(
            ".".join(str(part)[:100] for part in fault["loc"]) or "body",
            _told(fault),
        )
        for fault in error.errors(include_url=False, include_input=False)[:20]
    ]
    first = faults[0]
    raise InvalidInput(f"{_NAMES.get(first.field, first.field)} {first.message}.", faults)


def _told(fault: Any) -> str:
    if fault["loc"] == ("cursor",):
        return "is not one that we gave; leave it out to start from the newest"
    return sentence(fault).encode(errors="replace").decode()


def register_docs(app: Api) -> None:
    """Serve the document and the page, from this process alone."""
    docs = Blueprint("docs", __name__)

    @docs.get(DOCUMENT_URL)
    def document() -> Response:
        return jsonify(app.api_doc)

    @docs.get(DOCS_URL)
    def page() -> Response:
        nonce = secrets.token_urlsafe(16)
        html = render_template_string(
            swagger_html_string.replace('"swagger/', '"docs/swagger/')
            .replace("<script", f'<script nonce="{nonce}"')
            .replace("<style", f'<style nonce="{nonce}"'),
            doc_url=DOCUMENT_URL,
            swagger_config={"validatorUrl": None, "persistAuthorization": False},
            oauth_config=None,
        )
        response = Response(html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = DOCS_POLICY.format(nonce=nonce, logo=_LOGO_STYLE)
        response.headers["Cache-Control"] = "no-store"
        return response

    app.register_blueprint(docs)
    app.register_blueprint(RegisterPlugin.register(doc_url=DOCUMENT_URL), url_prefix=DOCS_URL)
