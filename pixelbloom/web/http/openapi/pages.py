"""The documents as JSON, and the pages that show them. Nothing is loaded from another server."""

import secrets
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, render_template_string
from flask_openapi3_swagger.plugins import RegisterPlugin
from flask_openapi3_swagger.templates import swagger_html_string
from markupsafe import Markup, escape

from pixelbloom.web.http.openapi import guides
from pixelbloom.web.http.openapi.application import Api

DOCUMENT_URL = "/api/openapi.json"
EVENTS_DOCUMENT_URL = "/api/asyncapi.json"
DOCS_URL = "/api/docs"
EVENTS_URL = "/api/docs/events"
#: The hash of the one style element that Swagger UI adds by script, in its logo.
_LOGO_STYLE = "sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w="
#: With a nonce for the page's script and style.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}' '{logo}'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_SWAGGER = {"validatorUrl": None, "persistAuthorization": True, "filter": True}


def register_docs(app: Api, events_document: Callable[[], dict[str, Any]]) -> None:
    """Serve the documents and the pages. `events_document` returns the document of the sockets."""
    docs = Blueprint("docs", __name__, template_folder="templates")

    @docs.get(DOCUMENT_URL)
    def document() -> Response:
        return jsonify(app.api_doc)

    @docs.get(EVENTS_DOCUMENT_URL)
    def asyncapi() -> Response:
        return jsonify(events_document())

    @docs.get(DOCS_URL)
    def page() -> Response:
        nonce = secrets.token_urlsafe(16)
        html = render_template_string(
            swagger_html_string.replace('"swagger/', '"docs/swagger/')
            .replace("<script", f'<script nonce="{nonce}"')
            .replace("<style", f'<style nonce="{nonce}"'),
            doc_url=DOCUMENT_URL,
            swagger_config=_SWAGGER,
            oauth_config=None,
        )
        return _guarded(html, nonce)

    @docs.get(EVENTS_URL)
    def events() -> Response:
        return _page("docs/events.html", document=events_document())

    @docs.get(f"{guides.GUIDES_URL}/<name>")
    def guide(name: str) -> Response:
        body = guides.html(name)
        if body is None:
            abort(404)
        return _page("docs/page.html", title=name, body=body)

    docs.add_app_template_filter(_type, "schema_type")
    app.register_blueprint(docs)
    app.register_blueprint(RegisterPlugin.register(doc_url=DOCUMENT_URL), url_prefix=DOCS_URL)


def _page(template: str, **values: Any) -> Response:
    nonce = secrets.token_urlsafe(16)
    html = render_template(template, nonce=nonce, guides=guides.names(), guides_url=guides.GUIDES_URL, **values)
    return _guarded(html, nonce)


def _guarded(html: str, nonce: str) -> Response:
    """Return a page with a policy that allows only its own script and style."""
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce, logo=_LOGO_STYLE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _type(schema: dict[str, Any]) -> Markup:
    """Describe a schema briefly, with links to the objects."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(_type(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(_type(schema["items"]))
    return escape(schema.get("format") or schema.get("type") or "any JSON")
