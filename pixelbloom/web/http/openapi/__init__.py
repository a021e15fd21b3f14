"""The API document: OpenAPI 3.1 generated from the routes, and a docs page that needs no other server."""

from pixelbloom.web.http.openapi.application import Api, make
from pixelbloom.web.http.openapi.pages import DOCS_URL, DOCUMENT_URL, register_docs
from pixelbloom.web.http.openapi.parameters import IDEMPOTENCY_KEY, IF_MATCH, LAST_EVENT_ID, PREFER, SUBMISSION, headers
from pixelbloom.web.http.openapi.responses import failures, nothing, success, text

__all__ = [
    "DOCS_URL",
    "DOCUMENT_URL",
    "IDEMPOTENCY_KEY",
    "IF_MATCH",
    "LAST_EVENT_ID",
    "OPTIONAL_SECURITY",
    "PREFER",
    "SECURITY",
    "SUBMISSION",
    "Api",
    "failures",
    "headers",
    "make",
    "nothing",
    "register_docs",
    "success",
    "text",
]

#: Of every operation that needs a token.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]
#: Of every operation with an optional token.
OPTIONAL_SECURITY: list[dict[str, list[str]]] = [{}, *SECURITY]
